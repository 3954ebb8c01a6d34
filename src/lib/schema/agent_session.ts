// SPDX-License-Identifier: Apache-2.0

/**
 * What the agent service tells of an agent, in its own room; state key = the agent. It counts as the word of the service
 * that the sender is, and of none other: `service` must be the sender.
 */
import * as z from "zod/mini";

const count = z.int().check(z.nonnegative());

const Shown = z.object({
  session_id: z.string(),
  program: z.nullable(z.string()),
  /** Ms since the epoch. */
  started_at: z.int(),
  /** Null: it goes on. */
  ended_at: z.nullable(z.int()),
});

/** `m.bureau.agent_session` */
export const AgentSession = z.object({
  version: z.literal(1),
  /** User ids. */
  service: z.string(),
  agent: z.string(),
  active: z.nullable(Shown),
  latest: z.nullable(Shown),
  /** Id of the newest commit of its context. */
  context_tip: z.nullable(z.string()),
});
export type AgentSession = z.infer<typeof AgentSession>;

/** What sessions took, but for money: events hold no fractions. */
export const SessionCounts = z.object({
  turns: count,
  tool_calls: count,
  tool_errors: count,
  errors: count,
  input_tokens: count,
  output_tokens: count,
  cache_read_tokens: count,
  cache_write_tokens: count,
  /** In turns. */
  working_ms: count,
});

/** `m.bureau.agent_metrics`: of all sessions. */
export const AgentMetrics = z.extend(SessionCounts, {
  version: z.literal(1),
  service: z.string(),
  agent: z.string(),
  sessions: count,
  /** Millionths of a dollar. */
  cost_microusd: count,
});
export type AgentMetrics = z.infer<typeof AgentMetrics>;
