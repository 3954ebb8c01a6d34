// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Pace } from "./pace.ts";

const KB = 1024;

/** @returns milliseconds that `members` watchers, all of them in a flood, need for `bytes` each */
async function duration(members: number, bytes: number): Promise<number> {
  let now = 0;
  // Each watcher's sleep is over at its own time; the last one's end is the answer.
  let end = 0;
  const clock = {
    now: () => now,
    sleep: (ms: number) => {
      now += ms;
      end = Math.max(end, now);
      return Promise.resolve();
    },
  };
  const pace = new Pace(clock);
  const all = Array.from({ length: members }, () => pace.join());
  for (const watcher of all) {
    now = 0;
    for (let sent = 0; sent < bytes; sent += 4 * KB) await watcher.spend(4 * KB);
  }
  return end;
}

Deno.test("Pace lets a few screens through at once, then shares its rate, and starves nobody", async () => {
  assert.equal(await duration(1, 64 * KB), 0);
  const second = async (members: number, rate: number) => {
    const took = await duration(members, 64 * KB + rate);
    assert.ok(Math.abs(took - 1_000) < 10, `${members}: ${took} ms`);
  };
  await second(1, 512 * KB);
  await second(4, 128 * KB);
  await second(8, 64 * KB);
  await second(32, 64 * KB);
});

Deno.test("Pace gives the rest their share back when a watcher leaves", async () => {
  let slept = 0;
  const pace = new Pace({ now: () => slept, sleep: (ms) => Promise.resolve(void (slept += ms)) });
  const [one, other] = [pace.join(), pace.join()];
  await one.spend(64 * KB);
  await one.spend(128 * KB);
  assert.equal(slept, 500);
  other.leave();
  await one.spend(128 * KB);
  assert.equal(slept, 750);
});
