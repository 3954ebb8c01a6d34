// SPDX-License-Identifier: Apache-2.0

/** The commands of the group `auth`, declared. */
import { PRINCIPAL } from "../arguments.ts";
import { type CommandSpec, defineCommand } from "../framework/command.ts";

const USER = {
  name: "NAME",
  brief: "an agent's name, `@user:server`, `me`, or `machine`",
  names: "principal",
} as const;

const ACTIONS = {
  name: "ACTION",
  brief: "actions or patterns of them: `http/api`, `matrix/**`",
} as const;
const FOR = {
  kind: "text",
  brief: "for a while: 30m, 1h, 2d; at most 90d",
  placeholder: "TIME",
} as const;
const TARGET = {
  kind: "texts",
  brief: "on whom, a pattern NAME:SERVER; may be repeated",
  placeholder: "PATTERN",
} as const;
const BY = {
  kind: "texts",
  brief: "whom: an agent's name, `me`, `@user:server`, or a pattern NAME:SERVER; may be repeated",
  placeholder: "WHO",
} as const;

export const authCommands: readonly CommandSpec[] = [
  defineCommand({
    path: ["auth", "check"],
    tool: { effect: "reads" },
    brief: "Say whether somebody may do something, and the rule that decides it",
    docs:
      "Asks the function that decides everything on this machine. Without TARGET: what an agent asks of its own proxy. " +
      "Each rule comes with where it stands, who wrote it, and until when it holds. Ends with status 1 when it is refused.",
    args: [
      { name: "ACTOR", brief: USER.brief },
      { name: "ACTION", brief: "`observe`, `http/<service>`, `forward/<host>/<port>`, …" },
      { name: "TARGET", brief: "to whom; like ACTOR", optional: true },
    ],
    examples: [
      "sh tasks/bureau auth check agent/scribe matrix/read",
      "sh tasks/bureau auth check me observe/read-write agent/scribe",
    ],
    result: async () => (await import("./results.ts")).check,
    load: async () => (await import("./check.ts")).check,
  }),
  defineCommand({
    path: ["auth", "grants"],
    tool: { effect: "reads" },
    brief: "Show what somebody may do: grants and denials, each with where it comes from",
    args: [USER],
    examples: ["sh tasks/bureau auth grants agent/scribe", "sh tasks/bureau auth grants me"],
    result: async () => (await import("./results.ts")).grants,
    load: async () => (await import("./list.ts")).grants,
  }),
  defineCommand({
    path: ["auth", "allowances"],
    tool: { effect: "reads" },
    brief: "Show what others may do to somebody, each line with where it comes from",
    args: [USER],
    examples: ["sh tasks/bureau auth allowances agent/scribe"],
    result: async () => (await import("./results.ts")).allowances,
    load: async () => (await import("./list.ts")).allowances,
  }),
  defineCommand({
    path: ["auth", "grant"],
    tool: { effect: "grants", idempotent: true },
    brief: "Grant an agent actions, for good or for a while; it takes effect without a restart",
    docs:
      "Written into the agent's assignment, which is signed anew. The time that --for sets is in the grant itself: it ends on its own, also while " +
      "nothing runs that could end it. A denial, wherever it stands, wins.",
    args: [PRINCIPAL, ACTIONS],
    variadic: true,
    flags: { for: FOR, target: TARGET },
    examples: ["sh tasks/bureau auth grant agent/second matrix/read --for 1h"],
    result: async () => (await import("./results.ts")).grant,
    load: async () => (await import("./grant.ts")).grant,
  }),
  defineCommand({
    path: ["auth", "deny"],
    tool: { effect: "changes", idempotent: true },
    brief: "Deny an agent actions, or others actions on it; it wins over every grant",
    docs:
      "Written into the agent's assignment, which is signed anew. With --by it is about what others do to the agent. `auth revoke --ticket` takes it back.",
    args: [PRINCIPAL, ACTIONS],
    variadic: true,
    flags: { for: FOR, target: TARGET, by: BY },
    examples: ["sh tasks/bureau auth deny agent/second matrix/send/m.room.message --for 30m"],
    result: async () => (await import("./results.ts")).deny,
    load: async () => (await import("./grant.ts")).deny,
  }),
  defineCommand({
    path: ["auth", "allow"],
    tool: { effect: "grants", idempotent: true },
    brief: "Let others do something to an agent: watch it, for example",
    docs:
      "Written into the agent's assignment, which is signed anew. Whoever is neither operator nor an agent of this machine needs that alone to watch; " +
      "for all else the other one needs a grant too.",
    args: [PRINCIPAL, ACTIONS],
    variadic: true,
    flags: { by: BY, for: FOR },
    examples: ["sh tasks/bureau auth allow agent/second observe --by agent/scribe --for 1h"],
    result: async () => (await import("./results.ts")).allow,
    load: async () => (await import("./grant.ts")).allow,
  }),
  defineCommand({
    path: ["auth", "revoke"],
    tool: { effect: "grants", idempotent: true },
    brief: "Take back actions that `auth grant` granted, or any rule by its ticket",
    docs:
      "What a template grants it doesn't touch. Written into the agent's assignment, which is signed anew.",
    args: [PRINCIPAL, { name: "ACTION", brief: "as granted", optional: true }],
    variadic: true,
    flags: {
      ticket: {
        kind: "text",
        brief: "as `auth grants` or `auth allowances` shows it",
        placeholder: "TICKET",
      },
      kind: {
        kind: "text",
        brief: "what kind of rule: grant, denial, allowance, allowance-denial",
        placeholder: "KIND",
      },
    },
    examples: ["sh tasks/bureau auth revoke agent/second matrix/read"],
    result: async () => (await import("./results.ts")).revoke,
    load: async () => (await import("./grant.ts")).revoke,
  }),
];
