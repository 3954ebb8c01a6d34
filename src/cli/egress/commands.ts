// SPDX-License-Identifier: Apache-2.0

/** The commands of the group `egress`, declared. */
import { PRINCIPAL } from "../arguments.ts";
import { type CommandSpec, defineCommand } from "../framework/command.ts";

const HOST = {
  name: "HOST",
  brief: "`host`, `host:port` (without a port 443), `*.host:port`, or `preset:<name>`",
} as const;
const ASK = {
  name: "ASK",
  brief: "a question's id, or the host that it is about",
  names: "ask",
} as const;

const scopes = {
  once: { kind: "switch", brief: "for what waits now, and one minute (the default)" },
  for: { kind: "text", brief: "for a while: 30m, 1h, 2d; at most 7d", placeholder: "TIME" },
  always: { kind: "switch", brief: "for good: written into the assignment, and signed" },
  agent: {
    kind: "text",
    brief: "of this agent, where several ask",
    placeholder: "NAME",
    names: "principal",
  },
} as const;

const undo = {
  undo: { kind: "switch", brief: "take the line out of the assignment instead" },
} as const;

export const egressCommands: readonly CommandSpec[] = [
  defineCommand({
    path: ["egress", "list"],
    tool: { effect: "reads" },
    brief: "Show what agents ask to connect to, what holds for a while, and the last answers",
    examples: ["sh tasks/bureau egress list"],
    result: async () => (await import("./results.ts")).list,
    load: async () => (await import("./list.ts")).list,
  }),
  defineCommand({
    path: ["egress", "show"],
    tool: { effect: "reads" },
    brief: "Show where an agent may connect to, each line with where it comes from",
    args: [PRINCIPAL],
    examples: ["sh tasks/bureau egress show agent/second"],
    result: async () => (await import("./results.ts")).show,
    load: async () => (await import("./show.ts")).show,
  }),
  defineCommand({
    path: ["egress", "approve"],
    tool: { effect: "grants" },
    brief: "Allow what an agent asks to connect to",
    docs: "With --for and --agent also before it is asked.",
    args: [ASK],
    flags: scopes,
    result: async () => (await import("./results.ts")).approve,
    load: async () => (await import("./decide.ts")).approve,
  }),
  defineCommand({
    path: ["egress", "deny"],
    tool: { effect: "changes", idempotent: true },
    brief: "Refuse what an agent asks to connect to, or take back what was allowed for a while",
    docs: "A host with --agent, without a question about it, takes back what `approve --for` gave.",
    args: [ASK],
    flags: scopes,
    result: async () => (await import("./results.ts")).deny,
    load: async () => (await import("./decide.ts")).deny,
  }),
  defineCommand({
    path: ["egress", "allow"],
    tool: { effect: "grants", idempotent: true },
    brief: "Let an agent connect to a host for good; it takes effect without a restart",
    docs: "Written into the agent's assignment, which is signed anew. A template's denial stays.",
    args: [PRINCIPAL, HOST],
    flags: undo,
    examples: ["sh tasks/bureau egress allow agent/second preset:npm"],
    result: async () => (await import("./results.ts")).allow,
    load: async () => (await import("./edit.ts")).allow,
  }),
  defineCommand({
    path: ["egress", "ask"],
    tool: { effect: "grants", idempotent: true },
    brief: "Have an agent's connections to a host held until an operator answers",
    docs:
      "Of what no other line decides; `*:443` stands for every host. Written into the agent's assignment, which is signed anew.",
    args: [PRINCIPAL, HOST],
    flags: undo,
    examples: ['sh tasks/bureau egress ask agent/second "*:443"'],
    result: async () => (await import("./results.ts")).ask,
    load: async () => (await import("./edit.ts")).ask,
  }),
  defineCommand({
    path: ["egress", "block"],
    tool: { effect: "grants", idempotent: true },
    brief: "Never let an agent connect to a host, whatever else allows it",
    docs: "Written into the agent's assignment, which is signed anew. Open connections are cut.",
    args: [PRINCIPAL, HOST],
    flags: undo,
    examples: ["sh tasks/bureau egress block agent/second paste.example.org"],
    result: async () => (await import("./results.ts")).block,
    load: async () => (await import("./edit.ts")).block,
  }),
];
