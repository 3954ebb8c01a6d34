// SPDX-License-Identifier: Apache-2.0

/** A million and more stories of crashes, losses and edits through the reconcile core. `BUREAU_STORIES` plays others. */
import assert from "node:assert/strict";
import { play } from "../../src/daemon/reconcile_stories_test.ts";

const runs = Number(Deno.env.get("BUREAU_STORIES") ?? 2_000_000);

Deno.test("two million stories end with what is wanted, once, and nothing else", () => {
  const { steps, spawns } = play({ runs });
  console.log(`${runs} stories, ${steps} steps, ${spawns} sandboxes`);
  assert.ok(spawns > runs);
});

Deno.test("a hundred thousand crash loops end", () => {
  const { broken } = play({ runs: Math.ceil(runs / 20), habits: { looping: true } });
  assert.ok(broken > 0);
});
