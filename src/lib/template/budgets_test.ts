// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { Template } from "../schema/events.ts";
import { instantiate } from "./instantiate.ts";
import { budgetsOf } from "./budgets.ts";
import { validateTemplate } from "./validate.ts";

const price = { input: "0.25", output: 2, cache_read: "0.025", cache_write: 0 };
const written = { hour: { cost_usd: "0.50", tokens: 1000 }, prices: { small: price } };

Deno.test("fractions of a dollar are written as text, and held as numbers", () => {
  const template = Template.parse({ description: "Anything", command: ["true"], budgets: written });
  assert.deepEqual(validateTemplate(template), []);
  const { budgets } = instantiate(template, { budgets: { day: { cost_usd: 2 } } });
  assert.deepEqual(budgets, {
    hour: { tokens: 1000, cost_usd: 0.5 },
    day: { cost_usd: 2 },
    prices: { small: { input: 0.25, output: 2, cache_read: 0.025, cache_write: 0 } },
  });
  assert.equal(budgetsOf(undefined), null);
});

Deno.test("a fraction that no event can hold is refused with how to write it; what is no amount is, too", () => {
  const [problem] = validateTemplate({
    description: "Anything",
    command: ["true"],
    budgets: { day: { cost_usd: 0.5 } },
  });
  assert.equal(problem?.field, "budgets.day.cost_usd");
  assert.match(problem?.message ?? "", /as text, "0\.5"/);
  for (const cost_usd of ["", "-1", "1e3", "0x10", ".5", "free", "1,5"]) {
    const parsed = Template.safeParse({ budgets: { day: { cost_usd } } });
    assert.equal(parsed.success, false, cost_usd);
  }
});
