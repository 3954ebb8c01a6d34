// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { systemClock } from "../lib/clock.ts";
import { Pace } from "./pace.ts";

const KB = 1024;

/** @returns milliseconds for so many bytes after the first 64 KB, which take none */
async function duration(bytes: number, watchers: number): Promise<number> {
  let now = 0;
  const pace = new Pace({ now: () => now, sleep: (ms) => Promise.resolve(void (now += ms)) });
  for (let sent = 0; sent < 64 * KB; sent += 4 * KB) await pace.spend(4 * KB, watchers);
  assert.equal(now, 0);
  for (let sent = 0; sent < bytes; sent += 4 * KB) await pace.spend(4 * KB, watchers);
  return now;
}

Deno.test("Pace lets a few screens through at once, then keeps to a rate that watchers share", async () => {
  for (const [watchers, rate] of [[1, 512], [2, 256], [4, 128], [50, 128], [0, 128]] as const) {
    const took = await duration(rate * KB, watchers);
    assert.ok(Math.abs(took - 1_000) < 10, `${watchers}: ${took} ms`);
  }
});

Deno.test("Pace gives what was not used for a while at once, but no more than that", async () => {
  let now = 0;
  const pace = new Pace({ now: () => now, sleep: (ms) => Promise.resolve(void (now += ms)) });
  await pace.spend(64 * KB, 1);
  now += 60_000;
  await pace.spend(64 * KB, 1);
  assert.equal(now, 60_000);
  await pace.spend(KB, 1);
  assert.ok(now > 60_000);
});

Deno.test("Pace holds nothing back when it is over", async () => {
  const pace = new Pace(systemClock);
  const waiting = pace.spend(1e12, 1);
  pace.end();
  await waiting;
  await pace.spend(1e12, 1);
});
