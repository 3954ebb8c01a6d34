// SPDX-License-Identifier: Apache-2.0

/** What answers cost. */
import { priceOf } from "../../lib/prices.ts";
import type { ModelPrice } from "../../lib/schema/events.ts";
import type { TokenUsage } from "../event.ts";

export type Prices = Readonly<Record<string, ModelPrice>>;

/** US dollars; a model that nobody knows is taken for the dearest. */
export function costOf(usage: TokenUsage, model: string, own: Prices = {}): number {
  const { price } = priceOf(usage.model ?? model, own);
  return (usage.input_tokens * price.input + usage.output_tokens * price.output +
    usage.cache_read_tokens * price.cache_read + usage.cache_write_tokens * price.cache_write) /
    1e6;
}
