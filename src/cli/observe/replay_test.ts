// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Replay } from "./replay.ts";

/** Sleeps end when the test says so. */
class Clock {
  readonly #sleeping: { readonly ms: number; readonly wake: () => void }[] = [];
  now = () => 100_000;
  sleep = (ms: number, signal?: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      this.#sleeping.push({ ms, wake: resolve });
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  async wake(): Promise<number | undefined> {
    const next = this.#sleeping.shift();
    next?.wake();
    for (let n = 0; n < 10; n++) await Promise.resolve();
    return next?.ms;
  }
}

Deno.test("the past is played faster, with short pauses, and then the present comes as it does", async () => {
  const clock = new Clock();
  const seen: string[] = [];
  const replay = new Replay(() => {}, clock);
  const add = (name: string, at: number | "now" | null) => replay.add(() => seen.push(name), at);
  add("screen", null);
  add("a", 1_000);
  add("size", null);
  add("b", 3_000);
  add("c", 900_000);
  assert.equal(replay.playing, true);
  const pauses = [];
  for (let ms = await clock.wake(); ms !== undefined; ms = await clock.wake()) pauses.push(ms);
  assert.deepEqual(seen, ["screen", "a", "size", "b", "c"]);
  assert.deepEqual(pauses, [0, 100, 400, 1_000]);
  assert.equal(replay.playing, false);
  add("now", "now");
  assert.equal(seen.at(-1), "now");
});

Deno.test("what comes while the past is played waits for its turn, and ends it", async () => {
  const clock = new Clock();
  const seen: string[] = [];
  const replay = new Replay(() => {}, clock);
  replay.add(() => seen.push("a"), 1_000);
  replay.add(() => seen.push("now"), "now");
  replay.add(() => seen.push("then"), "now");
  assert.deepEqual(seen, []);
  await clock.wake();
  assert.deepEqual(seen, ["a", "now", "then"]);
  assert.equal(replay.playing, false);
});

Deno.test("any key is the present at once", async () => {
  const clock = new Clock();
  const seen: string[] = [];
  const replay = new Replay(() => {}, clock);
  for (const [name, at] of [["a", 1_000], ["b", 2_000], ["c", "now"]] as const) {
    replay.add(() => seen.push(name), at);
  }
  assert.match(replay.note(), /any key: now/);
  replay.finish();
  assert.deepEqual(seen, ["a", "b", "c"]);
  await clock.wake();
  assert.deepEqual(seen, ["a", "b", "c"]);
  replay.add(() => seen.push("d"), null);
  assert.equal(seen.at(-1), "d");
});
