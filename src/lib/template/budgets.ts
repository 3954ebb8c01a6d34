// SPDX-License-Identifier: Apache-2.0
import type { BudgetCap, Budgets, ModelPrice, WrittenBudgets } from "../schema/events.ts";
import { compact } from "./merge.ts";

/** @returns `written` as it is used: dollars are numbers */
export function budgetsOf(written: WrittenBudgets | undefined): Budgets | null {
  if (written === undefined) return null;
  const { prices, run, hour, day } = written;
  return compact<Budgets>({
    run: capOf(run),
    hour: capOf(hour),
    day: capOf(day),
    prices: prices && Object.fromEntries(
      Object.entries(prices).map(([model, { input, output, cache_read, cache_write }]) => {
        const price: ModelPrice = {
          input: Number(input),
          output: Number(output),
          cache_read: Number(cache_read),
          cache_write: Number(cache_write),
        };
        return [model, price];
      }),
    ),
  });
}

function capOf(written: WrittenBudgets["run"]): BudgetCap | undefined {
  if (written === undefined) return undefined;
  const { cost_usd, ...tokens } = written;
  return cost_usd === undefined ? tokens : { ...tokens, cost_usd: Number(cost_usd) };
}
