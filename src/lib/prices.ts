// SPDX-License-Identifier: Apache-2.0

/**
 * What models cost, as their providers publish it (anthropic.com/pricing and platform.openai.com/docs/pricing,
 * read in 2026). A list gets old: a template's own prices win over it, and a model that is in neither is
 * taken for the dearest that is, so that a cap in money holds for it too.
 */
import type { ModelPrice } from "./schema/events.ts";

/** US dollars for a million tokens. */
const price = (
  input: number,
  output: number,
  cache_read: number,
  cache_write = input,
): ModelPrice => ({ input, output, cache_read, cache_write });
/** Anthropic: a tenth to read the cache, a quarter more to write it (for five minutes). */
const claude = (input: number, output: number) => price(input, output, input / 10, input * 1.25);

/** The first prefix of a model's name that fits. */
export const MODEL_PRICES: readonly (readonly [prefix: string, price: ModelPrice])[] = [
  ["claude-opus-4-5", claude(5, 25)],
  ["claude-opus-4-6", claude(5, 25)],
  ["claude-opus-4-7", claude(5, 25)],
  ["claude-opus", claude(15, 75)],
  ["claude-3-opus", claude(15, 75)],
  ["claude-sonnet", claude(3, 15)],
  ["claude-3-7-sonnet", claude(3, 15)],
  ["claude-3-5-sonnet", claude(3, 15)],
  ["claude-haiku", claude(1, 5)],
  ["claude-3-5-haiku", claude(0.8, 4)],
  ["claude-3-haiku", claude(0.25, 1.25)],
  ["gpt-5-nano", price(0.05, 0.4, 0.005)],
  ["gpt-5-mini", price(0.25, 2, 0.025)],
  ["gpt-5-pro", price(15, 120, 15)],
  ["gpt-5", price(1.25, 10, 0.125)],
  ["gpt-4.1-nano", price(0.1, 0.4, 0.025)],
  ["gpt-4.1-mini", price(0.4, 1.6, 0.1)],
  ["gpt-4.1", price(2, 8, 0.5)],
  ["gpt-4o-mini", price(0.15, 0.6, 0.075)],
  ["gpt-4o", price(2.5, 10, 1.25)],
  ["o4-mini", price(1.1, 4.4, 0.275)],
  ["o3-mini", price(1.1, 4.4, 0.55)],
  ["o3-pro", price(20, 80, 20)],
  ["o3", price(2, 8, 0.5)],
  ["codex-mini", price(1.5, 6, 0.375)],
  ["text-embedding-3-small", price(0.02, 0, 0.02)],
  ["text-embedding-3-large", price(0.13, 0, 0.13)],
];

const DEAREST: ModelPrice = MODEL_PRICES.reduce<ModelPrice>(
  (most, [, each]) => each.output > most.output ? each : most,
  MODEL_PRICES[0]![1],
);

/**
 * @param own of a template: by the beginning of a model's name, the longest wins
 * @returns and whether the price is known
 */
export function priceOf(
  model: string,
  own: Readonly<Record<string, ModelPrice>> = {},
): { readonly price: ModelPrice; readonly known: boolean } {
  const mine = Object.keys(own).filter((prefix) => model.startsWith(prefix))
    .sort((a, b) => b.length - a.length)[0];
  if (mine !== undefined) return { price: own[mine]!, known: true };
  // Resellers put the provider before the name: `anthropic/claude-…`, `us.anthropic.claude-…`.
  const bare = model.replace(/^.*[/.](?=claude-|gpt-\d|o\d-)/, "");
  const listed = MODEL_PRICES.find(([prefix]) => bare.startsWith(prefix));
  return listed === undefined
    ? { price: DEAREST, known: false }
    : { price: listed[1], known: true };
}
