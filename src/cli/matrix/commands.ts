// SPDX-License-Identifier: Apache-2.0

/** The commands of the group `matrix`, declared. */
import { type CommandSpec, defineCommand } from "../framework/command.ts";

const ROOM = {
  name: "ROOM",
  brief: "an agent's name, a room alias (#…), or a room id (!…)",
} as const;

export const matrixCommands: readonly CommandSpec[] = [
  defineCommand({
    path: ["matrix", "send"],
    tool: { effect: "changes", openWorld: true },
    brief: "Send a message as the operator",
    args: [ROOM, { name: "TEXT", brief: "the message" }],
    examples: ['sh tasks/bureau matrix send agent/scribe "report README.md"'],
    result: async () => (await import("./results.ts")).send,
    load: async () => (await import("./send.ts")).send,
  }),
  defineCommand({
    path: ["matrix", "messages"],
    tool: { effect: "reads", without: ["follow", "asks"] },
    brief: "Print a room's messages",
    args: [ROOM],
    flags: {
      limit: { kind: "number", brief: "how many of the newest", placeholder: "N", default: "50" },
      follow: { kind: "switch", brief: "go on with what comes" },
      asks: { kind: "switch", brief: "with --follow: also what agents ask to connect to" },
    },
    examples: ["sh tasks/bureau matrix messages agent/scribe --limit 5"],
    result: async () => (await import("./results.ts")).messages,
    line: async () => (await import("./results.ts")).Message,
    load: async () => (await import("./messages.ts")).messages,
  }),
  defineCommand({
    path: ["matrix", "check"],
    tool: { effect: "reads", without: ["fix"] },
    brief: "Look through all rooms for what contradicts itself",
    docs:
      "Rooms that are missing, foreign, open or with drifted power levels; assignments without template, of a changed template or with a bad " +
      "signature; credentials without a principal; services on dead machines; whatever a wrong sender wrote. --fix puts back power levels, join " +
      "rules and the space, and clears dead services: the rest takes a decision. Ends with status 1 when something is left.",
    flags: { fix: { kind: "switch", brief: "mend what can be mended safely" } },
    examples: ["sh tasks/bureau matrix check", "sh tasks/bureau matrix check --fix"],
    result: async () => (await import("./results.ts")).check,
    load: async () => (await import("./check/check.ts")).check,
  }),
  defineCommand({
    path: ["matrix", "account"],
    tool: { effect: "reads", without: ["show-password"] },
    brief: "Show what Element, or another Matrix client, asks for at login",
    flags: {
      "show-password": {
        kind: "switch",
        brief: "also the operator's password, which `up` made; on a terminal alone",
      },
    },
    examples: ["sh tasks/bureau matrix account"],
    result: async () => (await import("./results.ts")).account,
    load: async () => (await import("./account.ts")).account,
  }),
  defineCommand({
    path: ["matrix", "user", "create"],
    tool: { none: "a password is a person's to give" },
    brief: "Make an account for somebody else, who logs in with Element or `bureau login`",
    docs:
      "It is in the space, and in what --invite names, and may do what rooms and `bureau auth` let it: nothing more. Without --password-file the password is " +
      "made, and shown once, on a terminal alone.",
    args: [{ name: "USER", brief: "the name before the colon, such as ada" }],
    flags: {
      invite: {
        kind: "texts",
        brief: "a room it is in from the start; may be repeated",
        placeholder: "ROOM",
      },
      "password-file": {
        kind: "text",
        brief: "a file whose first line is the password, or - for stdin",
        placeholder: "FILE",
      },
    },
    result: async () => (await import("./results.ts")).createUser,
    load: async () => (await import("./user.ts")).createUser,
  }),
  defineCommand({
    path: ["matrix", "setup"],
    tool: { none: "`sh tasks/bureau` prepares what it needs" },
    brief:
      "Make what is missing on the homeserver: operator, space, rooms, power levels, templates",
    docs:
      "On the homeserver of this state directory, or on the one that --homeserver names, which needs a registration token the first time. Looks before it " +
      "writes: a repeat changes nothing. `up` does the same when it starts, and adds this machine; what an operator made of a built-in template stays.",
    flags: {
      homeserver: { kind: "text", brief: "its URL", placeholder: "URL" },
      "registration-token-file": {
        kind: "text",
        brief: "a file that holds its registration token",
        placeholder: "FILE",
      },
    },
    examples: ["sh tasks/bureau matrix setup"],
    result: async () => (await import("./results.ts")).setup,
    load: async () => (await import("./setup.ts")).setup,
  }),
  defineCommand({
    path: ["matrix", "doctor"],
    tool: { effect: "reads", without: ["fix"] },
    brief: "Examine the homeserver and Bureau's rooms on it",
    docs:
      "Tries what Bureau needs: that it answers, its version and clock, the session, whether accounts can be made and ended, how long sync takes, rooms and " +
      "rights (as `matrix check`), the machines' keys. Each finding says what mends it. Ends with status 1 when an error is left.",
    flags: { fix: { kind: "switch", brief: "mend what can be mended safely" } },
    examples: [
      "sh tasks/bureau matrix doctor",
      "sh tasks/bureau matrix doctor --json",
      "sh tasks/bureau matrix doctor --fix",
    ],
    result: async () => (await import("./results.ts")).doctor,
    load: async () => (await import("./doctor.ts")).doctor,
  }),
  defineCommand({
    path: ["matrix", "state", "check"],
    tool: { effect: "reads" },
    brief:
      "Ask one thing of a room's state: status 0 when it is so, 1 when not, 2 when it can't be told",
    docs:
      "Values are compared as text: a text as it is, anything else as JSON (true, 3, null). What is not there is like nothing and unlike " +
      "nothing: status 1.",
    flags: {
      room: { kind: "text", brief: "agent's name, alias or room id", placeholder: "ROOM" },
      type: { kind: "text", brief: "type of the event", placeholder: "TYPE" },
      key: { kind: "text", brief: "its state key", placeholder: "KEY", default: "" },
      field: {
        kind: "text",
        brief: "field of its content; dots lead inside: `limits.memory`",
        placeholder: "FIELD",
      },
      equals: { kind: "text", brief: "it has this value", placeholder: "VALUE" },
      "not-equals": { kind: "text", brief: "it has another value", placeholder: "VALUE" },
      in: { kind: "texts", brief: "it has one of these; may be repeated", placeholder: "VALUE" },
      "not-in": {
        kind: "texts",
        brief: "it has none of these; may be repeated",
        placeholder: "VALUE",
      },
    },
    examples: [
      'sh tasks/bureau matrix state check --room "#bureau/template" --type m.bureau.template --key networked ' +
      "--field bridge --equals true",
    ],
    result: async () => (await import("./results.ts")).stateCheck,
    load: async () => (await import("./state_check.ts")).stateCheck,
  }),
];
