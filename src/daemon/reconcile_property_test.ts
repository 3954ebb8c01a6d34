// SPDX-License-Identifier: Apache-2.0

/**
 * The reconcile core in a world where anything dies at any moment. `deno task test:slow` plays a million and more
 * of these stories (tests/slow/reconcile_test.ts).
 */
import assert from "node:assert/strict";
import { Broken, type Habits } from "./reconcile_model_test.ts";
import { play } from "./reconcile_stories_test.ts";
import { noMemory, reconcile } from "./reconcile.ts";

const RUNS = 100_000;

Deno.test("whatever dies, is lost or is edited in between, what is wanted comes about, once", () => {
  const { steps, spawns } = play({ runs: 3 * RUNS });
  assert.ok(steps > RUNS * 60 && spawns > 3 * RUNS, `too little happened: ${steps}, ${spawns}`);
});

Deno.test("an agent that only crashes is started ever less often, and then no more", () => {
  const { broken } = play({ runs: 4_000, habits: { looping: true } });
  assert.ok(broken > 100, `the loop broke in ${broken} stories only`);
});

const controls: Record<string, Partial<Habits>> = {
  "a completed one-shot is forgotten with any news (W-14)": {
    core: (desired, actual, memory, now) =>
      reconcile(desired, actual, { ...memory, completedIssuedAt: null }, now),
  },
  "any news resets the back-off (W-14)": {
    core: (desired, actual, memory, now) =>
      reconcile(desired, actual, { ...memory, retryAt: null }, now),
    looping: true,
  },
  "nothing is remembered": {
    core: (desired, actual, _, now) => reconcile(desired, actual, noMemory, now),
  },
  "a launcher that is away is taken for an empty one": {
    core: (desired, actual, memory, now) =>
      reconcile(desired, { ...actual, known: true }, memory, now),
  },
  "events that can't be used count as a removal": {
    core: (desired, actual, memory, now) =>
      reconcile(
        desired.want === "hold" ? { ...desired, want: "absent" } : desired,
        actual,
        memory,
        now,
      ),
  },
  "an unbound role holds nothing back": {
    core: ({ held: _, ...desired }, actual, memory, now) => reconcile(desired, actual, memory, now),
  },
  "a start puts another in the place of an end that nobody saw": { startsOverEnds: true },
  "each launcher numbers its news from nought": { countsAnew: true },
  "a running cell keeps the date of the assignment it was made for": { keepsOldDate: true },
};
for (const [what, habits] of Object.entries(controls)) {
  Deno.test(`the model finds it when ${what}`, () => {
    assert.throws(() => play({ runs: RUNS, seed: 1, habits }), Broken);
  });
}
