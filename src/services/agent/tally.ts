// SPDX-License-Identifier: Apache-2.0

/** What a session took, read from its log line by line; with the log's length it is written once for each line. */
import { AgentEvent } from "../../agent/event.ts";
import { type Metrics, NO_METRICS } from "./api.ts";

export interface Tally {
  readonly metrics: Metrics;
  /** When the turn began that goes on, ms since the epoch. */
  readonly turnSince: number | null;
}

export const NO_TALLY: Tally = { metrics: NO_METRICS, turnSince: null };

/** A line of a log: what happened, and when. */
export type LogLine = AgentEvent & { readonly at?: number };

/**
 * @param line parsed JSON; what no agent event is counts for nothing
 * @param now where the line has no time
 */
export function tallied(tally: Tally, line: unknown, now: number): Tally {
  const parsed = AgentEvent.safeParse(line);
  if (!parsed.success) return tally;
  const event = parsed.data;
  const given = (line as { at?: unknown }).at;
  const at = Number.isSafeInteger(given) ? given as number : now;
  const { metrics } = tally;
  const turnSince = tally.turnSince ?? (BEGINS.has(event.type) ? at : null);
  switch (event.type) {
    case "tool_call":
      return { turnSince, metrics: more(metrics, { tool_calls: 1 }) };
    case "tool_result":
      return { turnSince, metrics: more(metrics, { tool_errors: event.is_error ? 1 : 0 }) };
    case "usage": {
      const { input_tokens, output_tokens, cache_read_tokens, cache_write_tokens } = event;
      const taken = { input_tokens, output_tokens, cache_read_tokens, cache_write_tokens };
      return { turnSince, metrics: more(metrics, taken) };
    }
    case "cost":
      // Of everything since the session's start.
      return { turnSince, metrics: { ...metrics, usd: event.usd } };
    case "error":
      return { turnSince, metrics: more(metrics, { errors: 1 }) };
    case "end":
      return {
        turnSince: null,
        metrics: more(metrics, {
          turns: 1,
          errors: event.status === "error" ? 1 : 0,
          working_ms: Math.max(0, at - (turnSince ?? at)),
        }),
      };
    default:
      return { turnSince, metrics };
  }
}

/** What a program that is at work tells. */
const BEGINS: ReadonlySet<AgentEvent["type"]> = new Set([
  "prompt",
  "text",
  "thinking",
  "tool_call",
  "tool_result",
  "usage",
]);

/** Whatever a program tells of itself, a count stays one that JSON can hold. */
export function more(metrics: Metrics, by: Partial<Metrics>): Metrics {
  const changed = Object.entries(by).map(([name, value]) => [
    name,
    Math.min(Number.MAX_SAFE_INTEGER, metrics[name as keyof Metrics] + value),
  ]);
  return { ...metrics, ...Object.fromEntries(changed) };
}
