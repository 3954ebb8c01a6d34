// SPDX-License-Identifier: Apache-2.0

/** What models may cost a principal. */
import * as z from "zod/mini";

/** What a model costs: US dollars for a million tokens. */
export const ModelPrice = z.object({
  input: z.number(),
  output: z.number(),
  cache_read: z.number(),
  cache_write: z.number(),
});
export type ModelPrice = z.infer<typeof ModelPrice>;

/** What one window may take; the least that is reached holds. Tokens read from a cache are input. */
export const BudgetCap = z.object({
  tokens: z.optional(z.number()),
  input_tokens: z.optional(z.number()),
  output_tokens: z.optional(z.number()),
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
