// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createLogger } from "../lib/log.ts";
import { listRecordings, readOwner, recordingId } from "../lib/recording/mod.ts";
import { Recordings } from "./recordings.ts";

const HASH = "ea310d705cfa92b1";
const SCRIBE = "bureau/fleet/dev/agent/scribe";
const DAY = 86_400_000;

async function inTemp(run: (state: string) => Promise<void>): Promise<void> {
  const state = await Deno.makeTempDir({ prefix: "b-rec-" });
  try {
    await Deno.mkdir(`${state}/recordings`);
    await run(state);
  } finally {
    await Deno.remove(state, { recursive: true });
  }
}

Deno.test("a principal's place is for the group to read, and only where it is recorded", () =>
  inTemp(async (state) => {
    const clock = { now: () => 0, sleep: () => Promise.resolve() };
    const recordings = new Recordings(state, clock, createLogger("test", {}, () => {}));
    assert.equal(await recordings.placeOf(SCRIBE, HASH, { enabled: false }), null);
    assert.deepEqual(await Array.fromAsync(Deno.readDir(`${state}/recordings`)), []);
    const dir = `${state}/recordings/${HASH}`;
    assert.deepEqual(await recordings.placeOf(SCRIBE, HASH, { keep_days: 2 }), {
      dir,
      max_bytes: 256 * 1024 * 1024,
      keep_ms: 2 * DAY,
    });
    assert.equal((await Deno.stat(dir)).mode! & 0o777, 0o750);
    assert.equal((await Deno.stat(`${dir}/owner.json`)).mode! & 0o777, 0o640);
    // Of another principal with the same hash nothing is mixed in.
    assert.equal(await recordings.placeOf(`${SCRIBE}2`, HASH, {}), null);
    assert.equal((await readOwner(dir))?.principal, SCRIBE);
  }));

Deno.test("what is too old of principals that don't run goes, once a day", () =>
  inTemp(async (state) => {
    let now = Date.UTC(2026, 0, 10);
    const clock = { now: () => now, sleep: () => Promise.resolve() };
    const recordings = new Recordings(state, clock, createLogger("test", {}, () => {}));
    const running = "0000000000000001";
    for (const [hash, name] of [[HASH, SCRIBE], [running, `${SCRIBE}2`]] as const) {
      await recordings.placeOf(name, hash, { keep_days: 2 });
      for (const age of [1, 5]) {
        const path = `${state}/recordings/${hash}/${recordingId("ab12cd34", age, now - age * DAY)}`;
        await Deno.writeTextFile(`${path}.cast`, "x");
        await Deno.utime(`${path}.cast`, new Date(now - age * DAY), new Date(now - age * DAY));
      }
    }
    const left = async (hash: string) =>
      (await listRecordings(`${state}/recordings/${hash}`)).map(({ part }) => part);
    const sweep = () => recordings.sweep(new Map([["x", { hash: running }]]));
    await sweep();
    assert.deepEqual([await left(HASH), await left(running)], [[1], [5, 1]]);
    now += DAY - 1;
    await sweep();
    assert.deepEqual(await left(HASH), [1]);
    now += DAY;
    await sweep();
    assert.deepEqual([...Deno.readDirSync(`${state}/recordings`)].map(({ name }) => name), [
      running,
    ]);
  }));
