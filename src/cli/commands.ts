// SPDX-License-Identifier: Apache-2.0

/** Every command of `bureau`, declared. A group that is not listed does not exist: there are no stubs. */
import { type CommandSpec, defineCommand } from "./framework/command.ts";
import type { Group } from "./framework/app.ts";

export const groups: readonly Group[] = [
  { name: "agent", brief: "Agents on this machine" },
  { name: "sandbox", brief: "What an agent's sandbox is made of" },
  { name: "matrix", brief: "Rooms and messages, as the operator" },
];

const NAME = { name: "NAME", brief: "`scribe`, `agent/scribe`, or the full name" } as const;
const ROOM = {
  name: "ROOM",
  brief: "an agent's name, a room alias (#…), or a room id (!…)",
} as const;

export const commands: readonly CommandSpec[] = [
  defineCommand({
    path: ["status"],
    brief: "Show what runs: processes, homeserver, agents",
    flags: {
      permissions: {
        kind: "switch",
        brief: "print what each process is permitted, with this machine's paths",
      },
    },
    examples: ["sh tasks/bureau status"],
    load: async () => (await import("./status/status.ts")).status,
  }),
  defineCommand({
    path: ["observe"],
    brief: "Watch an agent's terminal live, and drive it",
    docs: "ctrl-] leaves; the agent goes on. Needs a terminal, except with --dump.",
    args: [NAME],
    flags: {
      "read-only": { kind: "switch", brief: "watch without a keyboard" },
      dump: { kind: "switch", brief: "print the screen as it is now and leave" },
    },
    examples: [
      "sh tasks/bureau observe agent/scribe",
      "sh tasks/bureau observe agent/scribe --dump",
    ],
    load: async () => (await import("./observe/observe.ts")).observe,
  }),
  defineCommand({
    path: ["version"],
    brief: "Print the version",
    load: async () => (await import("./status/version.ts")).version,
  }),
  defineCommand({
    path: ["boot"],
    brief: "First boot, from one JSON document on stdin (used by `up`; safe to repeat)",
    hidden: true,
    load: async () => (await import("./boot/boot.ts")).boot,
  }),
  defineCommand({
    path: ["agent", "list"],
    brief: "List the agents assigned to this machine",
    examples: ["sh tasks/bureau agent list", "sh tasks/bureau agent list --json"],
    load: async () => (await import("./agent/list.ts")).list,
  }),
  defineCommand({
    path: ["agent", "show"],
    brief: "Show one agent: state, exit status, what went through its proxy, why it failed",
    args: [NAME],
    examples: ["sh tasks/bureau agent show agent/scribe"],
    load: async () => (await import("./agent/list.ts")).show,
  }),
  defineCommand({
    path: ["agent", "create"],
    brief: "Assign an agent to this machine, or change its assignment",
    docs:
      "Makes its Matrix account and room, clones the repository, seals its credentials to the machine, and writes the signed assignment. " +
      "Repeating it changes only what differs. Credential values never come by argument: --credentials names a JSON file " +
      '`{"NAME":{"value":…,"allowed_hosts":["host:port"],"ca":PEM?}}`, or `-` for stdin.',
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
      var: {
        kind: "texts",
        brief: "a template variable, NAME=VALUE; may be repeated",
        placeholder: "NAME=VALUE",
      },
      payload: { kind: "text", brief: "payload, a JSON object", placeholder: "JSON" },
      credentials: {
        kind: "text",
        brief: "JSON file with credentials, or - for stdin",
        placeholder: "FILE",
      },
      "from-stdin": { kind: "switch", brief: "take everything from one JSON document on stdin" },
    },
    examples: ["sh tasks/bureau agent create agent/second --template bureau/template:agent"],
    load: async () => (await import("./agent/create.ts")).create,
  }),
  defineCommand({
    path: ["agent", "destroy"],
    brief: "Remove an agent: stop it, end its sessions, forget its credentials",
    docs: "Its room and messages stay. `agent create` makes it again.",
    args: [NAME],
    flags: { yes: { kind: "switch", brief: "do not ask" } },
    examples: ["sh tasks/bureau agent destroy agent/scribe --yes"],
    load: async () => (await import("./agent/destroy.ts")).destroy,
  }),
  defineCommand({
    path: ["sandbox", "explain"],
    brief: "Say in words what an agent, or a template, sees, may write, and can't do",
    docs:
      "Makes the same plan as the launcher, without starting anything. A template's variables that aren't given are shown as ${NAME}.",
    args: [{ name: "SUBJECT", brief: "an agent's name, or a template ROOM:NAME" }],
    flags: {
      var: {
        kind: "texts",
        brief: "a template variable, NAME=VALUE; may be repeated",
        placeholder: "NAME=VALUE",
      },
    },
    examples: [
      "sh tasks/bureau sandbox explain agent/scribe",
      "sh tasks/bureau sandbox explain bureau/template:agent --json",
    ],
    load: async () => (await import("./sandbox/explain.ts")).explain,
  }),
  defineCommand({
    path: ["matrix", "send"],
    brief: "Send a message as the operator",
    args: [ROOM, { name: "TEXT", brief: "the message" }],
    examples: ['sh tasks/bureau matrix send agent/scribe "report README.md"'],
    load: async () => (await import("./matrix/send.ts")).send,
  }),
  defineCommand({
    path: ["matrix", "messages"],
    brief: "Print a room's messages",
    args: [ROOM],
    flags: {
      limit: { kind: "number", brief: "how many of the newest", placeholder: "N", default: "50" },
      follow: { kind: "switch", brief: "go on with what comes" },
    },
    examples: ["sh tasks/bureau matrix messages agent/scribe --limit 5"],
    load: async () => (await import("./matrix/messages.ts")).messages,
  }),
];
