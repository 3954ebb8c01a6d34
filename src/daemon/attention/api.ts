// SPDX-License-Identifier: Apache-2.0
import * as z from "zod/mini";

/** In the order in which they need a person. */
export const ATTENTION_STATES = [
  "failed",
  "waiting-approval",
  "waiting-input",
  "working",
  "idle",
] as const;
export const AttentionState = z.enum(ATTENTION_STATES);
export type AttentionState = z.infer<typeof AttentionState>;

export const Attention = z.object({
  state: AttentionState,
  /** ms epoch */
  since: z.number(),
  /** By what it is known, in fixed words. */
  reason: z.enum([
    /** It could not be started, or ended with an error. */
    "failed",
    /** It crashed so often that it is left alone. */
    "crash-loop",
    /** A question about a destination waits for an operator. */
    "egress-ask",
    /** A tool call waits for somebody's leave. */
    "tool-call",
    /** The agent said so itself. */
    "said",
    /** What stands on its terminal is a question. */
    "question",
    /** Its terminal rang, and nothing followed. */
    "bell",
    /** It stands at a prompt. */
    "prompt",
    /** It writes, or wrote a moment ago. */
    "output",
    /** It has written nothing for long. */
    "quiet",
    "starting",
    "frozen",
    "not-running",
    /** Its terminal is not heard at the moment. */
    "unheard",
  ]),
  /** The agent's own words, a line of its terminal, or why it failed. Written by others, made harmless. */
  message: z.nullable(z.string()),
  /** Nobody has watched it since it is so. */
  unseen: z.boolean(),
});
export type Attention = z.infer<typeof Attention>;

/** What `GET /v1/attention` sends. */
export const AttentionEvent = z.object({
  /** True for the first: the principals that are not in it are not there. */
  all: z.boolean(),
  principals: z.array(z.object({
    principal: z.string(),
    attention: Attention,
    last_line: z.string(),
  })),
  /** No longer there, or not to be seen any more. */
  gone: z.array(z.string()),
});
export type AttentionEvent = z.infer<typeof AttentionEvent>;

/** Whoever needs a person most first; of those that need one alike, who waits longest. */
export function byNeed(
  a: { readonly attention?: Attention | undefined; readonly principal: string },
  b: { readonly attention?: Attention | undefined; readonly principal: string },
): number {
  const rank = (one: typeof a) =>
    one.attention === undefined
      ? ATTENTION_STATES.length
      : ATTENTION_STATES.indexOf(one.attention.state);
  const byState = rank(a) - rank(b);
  if (byState !== 0) return byState;
  const bySince = (a.attention?.since ?? 0) - (b.attention?.since ?? 0);
  const waits = rank(a) < ATTENTION_STATES.indexOf("working");
  return waits && bySince !== 0 ? bySince : a.principal < b.principal ? -1 : 1;
}
