// SPDX-License-Identifier: Apache-2.0

/**
 * What an agent does, told the same way whichever program it is: drivers of other people's command-line
 * agents and Bureau's own loop all tell these, and sessions, metrics and observation read nothing else.
 */
import * as z from "zod/mini";

const count = z.int().check(z.nonnegative());

/** Tokens of one answer of a model; not a running total. */
export const TokenUsage = z.object({
  input_tokens: count,
  output_tokens: count,
  cache_read_tokens: count,
  cache_write_tokens: count,
  model: z.optional(z.string()),
});
export type TokenUsage = z.infer<typeof TokenUsage>;

export const AgentState = z.enum([
  "working",
  "waiting-input",
  "waiting-approval",
  "idle",
  "failed",
]);
export type AgentState = z.infer<typeof AgentState>;

export const AgentEvent = z.discriminatedUnion("type", [
  /** The agent's identity for itself: what `resume` needs. */
  z.object({ type: z.literal("session"), session_id: z.string(), model: z.optional(z.string()) }),
  /** A message, at the place of the conversation where the agent has it: the next `end` answers it. */
  z.object({ type: z.literal("prompt"), text: z.string(), id: z.optional(z.string()) }),
  /** `partial`: a piece of a text that a later whole one repeats. */
  z.object({ type: z.literal("text"), text: z.string(), partial: z.optional(z.boolean()) }),
  z.object({ type: z.literal("thinking"), text: z.string(), partial: z.optional(z.boolean()) }),
  z.object({ type: z.literal("tool_call"), id: z.string(), name: z.string(), input: z.unknown() }),
  z.object({
    type: z.literal("tool_result"),
    id: z.string(),
    output: z.string(),
    is_error: z.boolean(),
  }),
  /** `by`: a worker that the agent gave it to; absent: the agent's own. */
  z.extend(TokenUsage, { type: z.literal("usage"), by: z.optional(z.string()) }),
  /** Of everything since the session's start. */
  z.object({ type: z.literal("cost"), usd: z.number().check(z.nonnegative()) }),
  z.object({ type: z.literal("state"), state: AgentState, message: z.optional(z.string()) }),
  /** Something that the program said and none of the others is: kept whole, never dropped. */
  z.object({ type: z.literal("output"), text: z.string() }),
  z.object({ type: z.literal("error"), message: z.string(), is_retried: z.boolean() }),
  /** The last of a turn, and the answer to each of its messages. */
  z.object({
    type: z.literal("end"),
    status: z.enum(["completed", "error", "cancelled"]),
    result: z.nullable(z.string()),
    error: z.nullable(z.string()),
  }),
]);
export type AgentEvent = z.infer<typeof AgentEvent>;
