// SPDX-License-Identifier: Apache-2.0

/** What models may cost a principal. */
import * as z from "zod/mini";

/** What a model costs: US dollars for a million tokens. */
export const ModelPrice = z.object({
  /** Tokens read. */
  input: z.number(),
  /** Tokens written. */
  output: z.number(),
  /** Tokens read from a cache. */
  cache_read: z.number(),
  /** Tokens put into a cache. */
  cache_write: z.number(),
});
export type ModelPrice = z.infer<typeof ModelPrice>;

/** What one window may take; the least that is reached holds. Tokens read from a cache are input. */
export const BudgetCap = z.object({
  /** Input and output together. */
  tokens: z.optional(z.number()),
  /** What models read. */
  input_tokens: z.optional(z.number()),
  /** What models write. */
  output_tokens: z.optional(z.number()),
  /** US dollars, by `prices` or the list that comes with Bureau. */
  cost_usd: z.optional(z.number()),
});
export type BudgetCap = z.infer<typeof BudgetCap>;

/** What a principal's requests to models may take; its proxy reads what they took from the answers. */
export const Budgets = z.object({
  /** From a start of the sandbox to its end. */
  run: z.optional(BudgetCap),
  /** The last 60 minutes. */
  hour: z.optional(BudgetCap),
  /** The last 24 hours. */
  day: z.optional(BudgetCap),
  /** By the beginning of a model's name; wins over the list that comes with Bureau. */
  prices: z.optional(z.record(z.string(), ModelPrice)),
});
export type Budgets = z.infer<typeof Budgets>;
