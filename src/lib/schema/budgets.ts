// SPDX-License-Identifier: Apache-2.0

/** What models may cost a principal: as events and files write it, and as it is used. */
import * as z from "zod/mini";

/** US dollars: a number, or text where it is a fraction (`"0.50"`), for Matrix events hold whole numbers alone. */
const Dollars = z.union([z.number(), z.string().check(z.regex(/^\d{1,9}(\.\d{1,9})?$/))]);

/** What a model costs: US dollars for a million tokens. */
const WrittenPrice = z.object({
  /** Tokens read. */
  input: Dollars,
  /** Tokens written. */
  output: Dollars,
  /** Tokens read from a cache. */
  cache_read: Dollars,
  /** Tokens put into a cache. */
  cache_write: Dollars,
});

/** What one window may take; the least that is reached holds. Tokens read from a cache are input. */
const WrittenCap = z.object({
  /** Input and output together. */
  tokens: z.optional(z.number()),
  /** What models read. */
  input_tokens: z.optional(z.number()),
  /** What models write. */
  output_tokens: z.optional(z.number()),
  /** US dollars, by `prices` or the list that comes with Bureau. */
  cost_usd: z.optional(Dollars),
});

/** What a principal's requests to models may take; its proxy reads what they took from the answers. */
export const WrittenBudgets = z.object({
  /** From a start of the sandbox to its end. */
  run: z.optional(WrittenCap),
  /** The last 60 minutes. */
  hour: z.optional(WrittenCap),
  /** The last 24 hours. */
  day: z.optional(WrittenCap),
  /** By the beginning of a model's name; wins over the list that comes with Bureau. */
  prices: z.optional(z.record(z.string(), WrittenPrice)),
});
export type WrittenBudgets = z.infer<typeof WrittenBudgets>;

/** A price as it is used: US dollars for a million tokens. */
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

/** A cap as it is used. */
export const BudgetCap = z.object({
  ...WrittenCap.shape,
  /** US dollars. */
  cost_usd: z.optional(z.number()),
});
export type BudgetCap = z.infer<typeof BudgetCap>;

/** Budgets as they are used: dollars are numbers. */
export const Budgets = z.object({
  /** From a start of the sandbox to its end. */
  run: z.optional(BudgetCap),
  /** The last 60 minutes. */
  hour: z.optional(BudgetCap),
  /** The last 24 hours. */
  day: z.optional(BudgetCap),
  /** By the beginning of a model's name. */
  prices: z.optional(z.record(z.string(), ModelPrice)),
});
export type Budgets = z.infer<typeof Budgets>;
