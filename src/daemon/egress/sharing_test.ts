// SPDX-License-Identifier: Apache-2.0

/** What keeps one principal from starving another, and what is counted of each. */
import assert from "node:assert/strict";
import { Slots } from "./slots.ts";
import { Turns } from "./turns.ts";
import { sumUsage, UsageCount } from "./usage.ts";

Deno.test("Slots lets so many in, the next in order, and forgets who left", async () => {
  const slots = new Slots(1);
  const leaving = new AbortController();
  const never = new AbortController().signal;
  assert.equal(await slots.enter(never), true);
  const left = slots.enter(leaving.signal);
  const order: string[] = [];
  const second = slots.enter(never).then((had) => order.push(`second ${had}`));
  const third = slots.enter(never).then((had) => order.push(`third ${had}`));
  leaving.abort();
  assert.equal(await left, false);
  slots.leave();
  await second;
  assert.deepEqual(order, ["second true"]);
  slots.leave();
  await third;
  slots.leave();
  assert.equal(await slots.enter(never), true);
});

Deno.test("Turns makes a principal wait that had its part of this turn, and nobody else", async () => {
  const scheduled: (() => void)[] = [];
  let now = 1000;
  const turns = new Turns(128 * 1024, (next) => scheduled.push(next), () => now);
  const busy = turns.of("busy");
  // Alone it is not held back.
  for (let i = 0; i < 100; i++) assert.equal(busy(64 * 1024), undefined);
  assert.equal(turns.of("other")(1000), undefined);
  assert.equal(busy(64 * 1024), undefined);
  const waits = [busy(64 * 1024), busy(64 * 1024), busy(64 * 1024)];
  assert.ok(waits.every((wait) => wait !== undefined));
  assert.equal(turns.of("other")(1000), undefined);
  let went = 0;
  for (const wait of waits) wait!.then(() => went++);
  assert.equal(scheduled.length, 1);
  scheduled.shift()!();
  await Promise.allSettled(waits.slice(0, 2));
  assert.equal(went, 2);
  scheduled.shift()!();
  await waits[2];
  assert.equal(went, 3);
  // Nothing runs on when nobody copies.
  while (scheduled.length > 0) scheduled.shift()!();
  assert.equal(scheduled.length, 0);
  now += 1000;
  for (let i = 0; i < 100; i++) assert.equal(busy(64 * 1024), undefined);
});

Deno.test("UsageCount names the destinations that matter and loses none of the sum", () => {
  const count = new UsageCount();
  count.allow("big.test:443");
  count.add("big.test:443", { up: 10, down: 1_000_000 });
  for (let i = 0; i < 500; i++) count.refuse(`guess-${i}.test:443`);
  count.refuse(null);
  const usage = count.withRunning([["big.test:443", { up: 1, down: 2 }]]);
  assert.equal(Object.keys(usage.hosts).length, 64);
  assert.deepEqual(usage.hosts["big.test:443"], {
    allowed: 1,
    refused: 0,
    up: 11,
    down: 1_000_002,
  });
  assert.deepEqual([usage.refused, usage.allowed, usage.active], [501, 1, 1]);
  const named = Object.values(usage.hosts).reduce((sum, { refused }) => sum + refused, 0);
  assert.equal(named + usage.other.refused, 501);
  const twice = sumUsage(usage, usage);
  assert.deepEqual([twice.refused, twice.down], [1002, 2 * usage.down]);
});
