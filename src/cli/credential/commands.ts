// SPDX-License-Identifier: Apache-2.0

/** The commands of the group `credential`, declared. */
import { PRINCIPAL } from "../arguments.ts";
import { type CommandSpec, defineCommand } from "../framework/command.ts";

const expires = {
  kind: "text",
  brief: "refuse it from then on: 30d, 12h, 2027-01-01",
  placeholder: "TIME",
} as const;

export const credentialCommands: readonly CommandSpec[] = [
  defineCommand({
    path: ["credential", "list"],
    tool: { effect: "reads" },
    brief: "List sealed credentials: names, hosts, kinds, when, by whom, to whom; never values",
    args: [{ ...PRINCIPAL, optional: true }],
    examples: [
      "sh tasks/bureau credential list",
      "sh tasks/bureau credential list agent/second --json",
    ],
    result: async () => (await import("./results.ts")).list,
    load: async () => (await import("./list.ts")).list,
  }),
  defineCommand({
    path: ["credential", "provision"],
    tool: { none: "a secret would go through a model" },
    brief: "Give an agent further credentials, or others of the same names",
    docs:
      "Those that it has stay. The document is as for `agent create --credentials` (docs/guide/credentials.md). Each is sealed by itself to this " +
      "machine and signed.",
    args: [PRINCIPAL, { name: "FILE", brief: "JSON; absent or `-`: stdin", optional: true }],
    flags: { expires },
    examples: ["sh tasks/bureau credential provision agent/second credentials.json --expires 90d"],
    result: async () => (await import("./results.ts")).provision,
    load: async () => (await import("./provision.ts")).provision,
  }),
  defineCommand({
    path: ["credential", "rotate"],
    tool: { none: "a secret would go through a model" },
    brief: "Give one credential of an agent a new value; its hosts and uses stay",
    docs:
      "FILE holds the value itself: a token, an SSH key, a refresh token or JSON with the fields of `oauth2` that change, Claude Code's or Codex's file. " +
      "On a terminal without FILE it is asked for, unseen. An end set with --expires holds for the new value; without, it has none.",
    args: [
      PRINCIPAL,
      { name: "KEY", brief: "the credential's name" },
      { name: "FILE", brief: "the new value; absent or `-`: stdin", optional: true },
    ],
    flags: { expires },
    examples: ["sh tasks/bureau credential rotate agent/second github token.txt"],
    result: async () => (await import("./results.ts")).rotate,
    load: async () => (await import("./rotate.ts")).rotate,
  }),
  defineCommand({
    path: ["credential", "remove"],
    tool: { effect: "destroys", idempotent: true },
    destroys: true,
    brief: "Take one credential away from an agent, while it runs",
    docs:
      "Its proxy refuses every request that needs it at once, and the agent goes on; one whose sandbox itself holds it (a file, an SSH key's agent) ends. The agent is " +
      "not started again while its template needs it. The removal is signed: nobody who keeps an older copy can bring it back. `credential provision` gives it anew.",
    args: [PRINCIPAL, { name: "KEY", brief: "the credential's name" }],
    examples: ["sh tasks/bureau credential remove agent/second github --yes"],
    result: async () => (await import("./results.ts")).remove,
    load: async () => (await import("./remove.ts")).remove,
  }),
  defineCommand({
    path: ["credential", "import"],
    tool: { none: "a secret would go through a model" },
    brief: "Give an agent credentials that a tool of yours, or a variable, holds",
    docs:
      "SOURCE is `gh`, `npmrc` or `netrc`: the tool's own store is read, and where each credential may go comes from it. Without --yes nothing is changed: " +
      "it shows what would be taken. The hosts of well-known variables (GH_TOKEN, ANTHROPIC_API_KEY, …) are known, of others --host names them.",
    args: [PRINCIPAL, {
      name: "SOURCE",
      brief: "gh, npmrc or netrc",
      optional: true,
      oneOf: ["gh", "npmrc", "netrc"],
    }],
    flags: {
      "from-env": {
        kind: "texts",
        brief: "a variable of your environment instead; may be repeated",
        placeholder: "VAR",
      },
      host: {
        kind: "texts",
        brief: "where they may go, instead of what the source says; may be repeated",
        placeholder: "HOST[:PORT]",
      },
      expires,
      yes: { kind: "switch", brief: "take them" },
    },
    examples: [
      "sh tasks/bureau credential import agent/second gh",
      "sh tasks/bureau credential import agent/second --from-env DEPLOY_KEY --host deploy.example.org --yes",
    ],
    result: async () => (await import("./results.ts")).importThem,
    load: async () => (await import("./import.ts")).importThem,
  }),
  defineCommand({
    path: ["credential", "reseal"],
    tool: { effect: "changes", idempotent: true },
    brief: "Seal credentials to this machine's key again, after it changed",
    docs:
      "What is sealed to the escrow key too is opened with it; sessions of agents are made anew. What nothing can open is told, to be provisioned again; " +
      "the exit status is 1 then.",
    args: [{ ...PRINCIPAL, optional: true }],
    examples: ["sh tasks/bureau credential reseal"],
    result: async () => (await import("./results.ts")).reseal,
    load: async () => (await import("./reseal.ts")).reseal,
  }),
  defineCommand({
    path: ["credential", "escrow", "init"],
    tool: { none: "the key is a person's own" },
    brief: "Make a key of the operator's own, to which credentials are sealed beside the machine's",
    docs:
      "With it credentials outlive the machine's key: `credential reseal`. It is a file of mode 0600, with --passphrase under one that is asked for; with " +
      "--recipient its private half stays wherever you keep it.",
    flags: {
      passphrase: { kind: "switch", brief: "protect it by a passphrase (stdin, or asked for)" },
      recipient: {
        kind: "text",
        brief: "a key that you have: its public half",
        placeholder: "AGE1…",
      },
    },
    examples: ["sh tasks/bureau credential escrow init"],
    result: async () => (await import("./results.ts")).init,
    load: async () => (await import("./escrow.ts")).init,
  }),
  defineCommand({
    path: ["credential", "escrow", "show"],
    tool: { effect: "reads" },
    brief: "Show the escrow key's public half, and where its private one is",
    examples: ["sh tasks/bureau credential escrow show"],
    result: async () => (await import("./results.ts")).show,
    load: async () => (await import("./escrow.ts")).show,
  }),
];
