// SPDX-License-Identifier: Apache-2.0

/** The commands of the group `credential`, declared. */
import { type CommandSpec, defineCommand } from "../framework/command.ts";

const NAME = { name: "NAME", brief: "`scribe`, `agent/scribe`, or the full name" } as const;
const expires = {
  kind: "text",
  brief: "refuse it from then on: 30d, 12h, 2027-01-01",
  placeholder: "TIME",
} as const;

export const credentialCommands: readonly CommandSpec[] = [
  defineCommand({
    path: ["credential", "list"],
    brief: "List sealed credentials: names, hosts, kinds, when, by whom, to whom; never values",
    args: [{ ...NAME, optional: true }],
    examples: [
      "sh tasks/bureau credential list",
      "sh tasks/bureau credential list agent/second --json",
    ],
    load: async () => (await import("./list.ts")).list,
  }),
  defineCommand({
    path: ["credential", "provision"],
    brief: "Give an agent further credentials, or others of the same names",
    docs:
      "Those that it has stay. The document is as for `agent create --credentials` (docs/guide/credentials.md). Each is sealed by itself to this " +
      "machine and signed.",
    args: [NAME, { name: "FILE", brief: "JSON; absent or `-`: stdin", optional: true }],
    flags: { expires },
    examples: ["sh tasks/bureau credential provision agent/second credentials.json --expires 90d"],
    load: async () => (await import("./provision.ts")).provision,
  }),
  defineCommand({
    path: ["credential", "rotate"],
    brief: "Give one credential of an agent a new value; its hosts and uses stay",
    docs:
      "FILE holds the value itself: a token, an SSH key, a refresh token or JSON with the fields of `oauth2` that change, Claude Code's or Codex's file. " +
      "On a terminal without FILE it is asked for, unseen. An end set with --expires holds for the new value; without, it has none.",
    args: [
      NAME,
      { name: "KEY", brief: "the credential's name" },
      { name: "FILE", brief: "the new value; absent or `-`: stdin", optional: true },
    ],
    flags: { expires },
    examples: ["sh tasks/bureau credential rotate agent/second github token.txt"],
    load: async () => (await import("./rotate.ts")).rotate,
  }),
];
