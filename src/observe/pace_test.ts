// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Pace } from "./pace.ts";

const KB = 1024;

Deno.test("Pace lets a few screens through at once, then keeps to its rate", async () => {
  let now = 0;
  const pace = new Pace({ now: () => now, sleep: (ms) => Promise.resolve(void (now += ms)) });
  for (let sent = 0; sent < 64 * KB; sent += 4 * KB) await pace.spend(4 * KB);
  assert.equal(now, 0);
  for (let sent = 0; sent < 512 * KB; sent += 4 * KB) await pace.spend(4 * KB);
  assert.ok(Math.abs(now - 1_000) < 10, `${now} ms`);
  // What was not used for a while may be used at once again, but no more than that.
  now += 60_000;
  const before = now;
  for (let sent = 0; sent < 64 * KB; sent += 4 * KB) await pace.spend(4 * KB);
  assert.equal(now, before);
  await pace.spend(KB);
  assert.ok(now > before);
});
