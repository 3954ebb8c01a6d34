// SPDX-License-Identifier: Apache-2.0

/**
 * What the agent service tells of an agent, in its own room; state key = the agent. It counts as the word of the service
 * that the sender is, and of none other: `service` must be the sender.
 */
import * as z from "zod/mini";

const count = z.int().check(z.nonnegative());

const Shown = z.object({
  /** Its id at the service. */
  session_id: z.string(),
  /** Which program it is of: `claude`, `codex`, `native`; null where nobody said. */
  program: z.nullable(z.string()),
  /** Ms since the epoch. */
  started_at: z.int(),
  /** Null: it goes on. */
  ended_at: z.nullable(z.int()),
});

/** `m.bureau.agent_session`, state key = the agent, in its own room: which session it has. */
export const AgentSession = z.object({
  /** Another one was written by a newer Bureau, and is refused. */
  version: z.literal(1),
  /** User ids. */
  service: z.string(),
  /** User id of whom it is about. */
  agent: z.string(),
  /** The session that goes on; null: none does. */
  active: z.nullable(Shown),
  /** The last one that ended. */
  latest: z.nullable(Shown),
  /** Id of the newest commit of its context. */
  context_tip: z.nullable(z.string()),
});
export type AgentSession = z.infer<typeof AgentSession>;

/** What sessions took, but for money: events hold no fractions. */
export const SessionCounts = z.object({
  /** Questions answered, or tried to. */
  turns: count,
  /** Calls of tools. */
  tool_calls: count,
  /** Those that failed. */
  tool_errors: count,
  /** Turns that failed. */
  errors: count,
  /** Tokens that models read. */
  input_tokens: count,
  /** Tokens that models wrote. */
  output_tokens: count,
  /** Of those read, from a cache. */
  cache_read_tokens: count,
  /** Of those read, put into a cache. */
  cache_write_tokens: count,
  /** In turns. */
  working_ms: count,
});

/** `m.bureau.agent_metrics`, state key = the agent, in its own room: what all its sessions took. */
export const AgentMetrics = z.extend(SessionCounts, {
  /** Another one was written by a newer Bureau, and is refused. */
  version: z.literal(1),
  /** User id of the service, which must be the sender. */
  service: z.string(),
  /** User id of whom it is about. */
  agent: z.string(),
  /** How many there were. */
  sessions: count,
  /** Millionths of a dollar. */
  cost_microusd: count,
});
export type AgentMetrics = z.infer<typeof AgentMetrics>;
