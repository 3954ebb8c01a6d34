// SPDX-License-Identifier: Apache-2.0

/** The commands about what the agent service keeps, declared. docs/guide/sessions.md */
import { AGENT, PRINCIPAL } from "../arguments.ts";
import { type CommandSpec, defineCommand } from "../framework/command.ts";

const COMMIT = {
  name: "COMMIT",
  brief: "the beginning of its id; absent: the newest",
  optional: true,
} as const;
const LIMIT = {
  kind: "text",
  brief: "at most so many",
  placeholder: "N",
  default: "20",
} as const;

export const keptCommands: readonly CommandSpec[] = [
  defineCommand({
    path: ["agent", "metrics"],
    tool: { effect: "reads" },
    brief:
      "Show what an agent's requests took, by model and against its budgets, and what its sessions took",
    args: [PRINCIPAL],
    examples: ["sh tasks/bureau agent metrics agent/scribe"],
    result: async () => (await import("./kept/results.ts")).metrics,
    load: async () => (await import("./metrics.ts")).metrics,
  }),
  defineCommand({
    path: ["agent", "session"],
    tool: { effect: "reads", without: ["log"] },
    brief: "Show an agent's sessions, newest first, or the log of one",
    docs:
      "As the agent service keeps them (docs/guide/sessions.md). --log writes what is kept of the log: a line of JSON for each thing that happened.",
    args: [AGENT],
    flags: {
      session: { kind: "text", brief: "this one", placeholder: "ID" },
      log: { kind: "switch", brief: "its log; the newest session's unless one is named" },
      limit: LIMIT,
    },
    result: async () => (await import("./kept/results.ts")).session,
    load: async () => (await import("./kept/session.ts")).session,
  }),
  defineCommand({
    path: ["agent", "context", "list"],
    tool: { effect: "reads" },
    brief: "Show the commits of an agent's context, newest first; * is where it is now",
    args: [AGENT],
    flags: { limit: LIMIT },
    result: async () => (await import("./kept/results.ts")).list,
    load: async () => (await import("./kept/context.ts")).list,
  }),
  defineCommand({
    path: ["agent", "context", "show"],
    tool: { effect: "reads" },
    brief: "Show one commit: what it follows, when and in which session it was made",
    args: [AGENT, COMMIT],
    result: async () => (await import("./kept/results.ts")).show,
    load: async () => (await import("./kept/context.ts")).show,
  }),
  defineCommand({
    path: ["agent", "context", "materialise"],
    tool: { none: "it writes as much as an agent ever knew" },
    brief: "Write what an agent knew at a commit, as lines of JSON",
    docs:
      "The contents of the commits that lead to it, oldest first, from the last that stands for all before it (a compaction, a snapshot) on.",
    args: [AGENT, COMMIT],
    flags: {
      stop: {
        kind: "text",
        brief: "where to begin: compaction, root, or a commit of the chain",
        placeholder: "WHERE",
        default: "compaction",
      },
    },
    raw: "what the agent kept, as the agent wrote it: lines of JSON of its own format",
    load: async () => (await import("./kept/context.ts")).materialise,
  }),
  defineCommand({
    path: ["agent", "context", "fork"],
    tool: { effect: "changes", idempotent: true },
    brief: "Let an agent, or another one, be where it was at a commit",
    docs:
      "A new commit that follows that one. Bureau's own agent begins with it when it has no conversation of its own yet, or begins anew (!new).",
    args: [AGENT, { name: "COMMIT", brief: "the beginning of its id" }],
    flags: {
      to: { kind: "text", brief: "this agent instead", placeholder: "NAME" },
      summary: { kind: "text", brief: "what it is for", placeholder: "TEXT" },
    },
    result: async () => (await import("./kept/results.ts")).fork,
    load: async () => (await import("./kept/context.ts")).fork,
  }),
];
