// SPDX-License-Identifier: Apache-2.0

/** `agent create`, declared. */
import { AGENT, ON_MACHINE } from "../arguments.ts";
import { type CommandSpec, defineCommand } from "../framework/command.ts";

const NAME = { name: "NAME", brief: "`scribe`, `agent/scribe`, or the full name" } as const;

export const agentCreate = defineCommand({
  path: ["agent", "create"],
  tool: {
    effect: "grants",
    idempotent: true,
    without: ["repo", "branch", "from", "credentials", "from-stdin", "wait"],
  },
  brief: "Assign an agent to this machine, or change its assignment",
  docs:
    "Without NAME, on a terminal, it asks for all that it needs, and shows the command that does the same. " +
    "Makes its Matrix account and room, clones the repository, seals its credentials to the machine, and writes the signed assignment. " +
    "Repeating it changes only what differs. Credential values never come by argument: --credentials names a JSON file " +
    '`{"NAME":{"value":…,"allowed_hosts":["host:port"],"ca":PEM?}}` (logins and other kinds: docs/guide/credentials.md), ~/.claude/.credentials.json or ~/.codex/auth.json, or `-` for stdin.',
  args: [NAME],
  flags: {
    template: {
      kind: "text",
      brief: "template reference",
      placeholder: "ROOM:NAME",
      default: "bureau/template:agent",
    },
    repo: {
      kind: "text",
      brief: "git repository to clone as its workspace",
      placeholder: "PATH",
    },
    branch: {
      kind: "text",
      brief: "the branch of its own in that clone; bureau/NAME unless named",
      placeholder: "BRANCH",
    },
    from: {
      kind: "text",
      brief:
        "a branch, tag or commit of the repository to begin from, instead of what is checked out",
      placeholder: "REF",
    },
    var: {
      kind: "texts",
      brief: "a template variable, NAME=VALUE; may be repeated",
      placeholder: "NAME=VALUE",
    },
    inherit: {
      kind: "texts",
      brief: "another template laid on top of it; may be repeated",
      placeholder: "ROOM:NAME",
    },
    environment: {
      kind: "text",
      brief: "Nix store path of its programs, instead of the template's",
      placeholder: "PATH",
    },
    "require-service": {
      kind: "texts",
      brief: "a service it needs, instead of the template's; may be repeated; `''` is none",
      placeholder: "ROLE",
    },
    payload: { kind: "text", brief: "payload, a JSON object", placeholder: "JSON" },
    "start-condition": {
      kind: "text",
      brief: "the state event that it runs for, a JSON object (docs/guide/life.md)",
      placeholder: "JSON",
    },
    restart: {
      kind: "text",
      brief: "always, on-failure or never; the template's unless named",
      placeholder: "POLICY",
    },
    credentials: {
      kind: "text",
      brief: "JSON file with credentials, or - for stdin",
      placeholder: "FILE",
    },
    machine: ON_MACHINE,
    wait: {
      kind: "switch",
      brief: "until it runs and has said something in its room, or why it doesn't",
    },
    "dry-run": { kind: "switch", brief: "only say what would be done" },
    "from-stdin": { kind: "switch", brief: "take everything from one JSON document on stdin" },
  },
  examples: [
    "sh tasks/bureau agent create agent/second --template bureau/template:agent --dry-run",
    "sh tasks/bureau agent create agent/second --template bureau/template:agent",
  ],
  result: async () => (await import("./results.ts")).create,
  load: async () => (await import("./create.ts")).create,
});

export const agentAsk = defineCommand({
  path: ["agent", "ask"],
  tool: { none: "it asks a person" },
  brief: "Ask on a terminal for what `agent create` needs",
  hidden: true,
  load: async () => (await import("./ask/ask.ts")).ask,
});

export const agentInstall = defineCommand({
  path: ["agent", "install"],
  tool: { none: "`sh tasks/bureau` prepares what it needs" },
  brief:
    "Fetch somebody else's agent, Claude Code or Codex, for the templates that run it; without a name: what is here",
  docs:
    "From npm, in the one version that this Bureau was tried with, and only with the hash that it has in this repository. " +
    "It lies below the state directory, read-only for agents; nothing of npm runs, here or there.",
  args: [{ name: "NAME", brief: "claude or codex", optional: true, oneOf: ["claude", "codex"] }],
  examples: ["sh tasks/bureau agent install"],
  result: async () => (await import("./results.ts")).install,
  load: async () => (await import("./programs.ts")).install,
});

const ROOM = {
  name: "ROOM",
  brief: "`room/NAME`, an agent's name, a room alias (#…), or a room id (!…)",
} as const;

export const agentRooms: readonly CommandSpec[] = [
  defineCommand({
    path: ["agent", "join"],
    tool: { effect: "grants", idempotent: true },
    brief: "Put an agent into a room with others, where it listens to what calls it",
    docs:
      "A room `room/NAME` of the fleet is made when it is not there; others must be the operator's, for in no other does an agent listen. " +
      "Agents that are in one room can ask each other (docs/guide/two-agents.md).",
    args: [AGENT, ROOM],
    examples: ["sh tasks/bureau agent join agent/scribe room/team"],
    result: async () => (await import("./results.ts")).join,
    load: async () => (await import("./rooms.ts")).join,
  }),
  defineCommand({
    path: ["agent", "leave"],
    tool: { effect: "changes", idempotent: true },
    brief: "Take an agent out of a room that is not its own",
    args: [AGENT, ROOM],
    examples: ["sh tasks/bureau agent leave agent/scribe room/team"],
    result: async () => (await import("./results.ts")).leave,
    load: async () => (await import("./rooms.ts")).leave,
  }),
];
