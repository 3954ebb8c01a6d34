// SPDX-License-Identifier: Apache-2.0

/** What an agent may take: a hard stop, kept before anything is asked for. */
import { BureauError } from "../../lib/errors.ts";
import { priceOf } from "../../lib/prices.ts";
import type { Prices } from "../model/cost.ts";
import type { Totals } from "./session.ts";

export interface AgentLimits {
  /** Answers of the model to one message. */
  readonly rounds?: number;
  /** In and out, over the whole session. */
  readonly tokens?: number;
  /** US dollars over the whole session. */
  readonly usd?: number;
}

export class LimitError extends BureauError {
  override readonly name = "LimitError";
  declare readonly code: "limit-rounds" | "limit-tokens" | "limit-usd";
}

/**
 * After something was spent that was not asked for here.
 * @throws {LimitError} when nothing is left
 */
export function refuseOverdrawn({ tokens, usd }: AgentLimits, totals: Readonly<Totals>): void {
  if (tokens !== undefined && totals.tokens >= tokens) {
    throw new LimitError("limit-tokens", `${totals.tokens} of ${tokens} tokens are used`);
  }
  if (usd !== undefined && totals.usd >= usd) {
    throw new LimitError("limit-usd", `$${totals.usd.toFixed(4)} of $${usd} are spent`);
  }
}

/**
 * How long the next answer may be, so that its end is within the limits too.
 * @param inputTokens estimated
 * @throws {LimitError} when there is no room for an answer
 */
export function allowedTokens(
  limits: AgentLimits,
  round: number,
  totals: Readonly<Totals>,
  next: { model: string; inputTokens: number; maxTokens: number; prices: Prices },
): number {
  const { rounds, tokens, usd } = limits;
  if (rounds !== undefined && round > rounds) {
    throw new LimitError("limit-rounds", `Cannot go on: ${rounds} rounds are the limit`);
  }
  let allowed = next.maxTokens;
  if (tokens !== undefined) {
    allowed = Math.min(allowed, tokens - totals.tokens - next.inputTokens);
    if (allowed < 1) {
      const why = `${totals.tokens} of ${tokens} tokens are used`;
      throw new LimitError("limit-tokens", `Cannot go on: ${why}`);
    }
  }
  if (usd !== undefined) {
    const { price } = priceOf(next.model, next.prices);
    // The dearest that input can be: written into the cache.
    const input = next.inputTokens * Math.max(price.input, price.cache_write) / 1e6;
    const left = usd - totals.usd - input;
    if (price.output > 0) allowed = Math.min(allowed, Math.floor(left * 1e6 / price.output));
    if (allowed < 1 || left < 0) {
      const why = `$${
        totals.usd.toFixed(4)
      } of $${usd} are spent, and the next question costs more`;
      throw new LimitError("limit-usd", `Cannot go on: ${why}`);
    }
  }
  return allowed;
}
