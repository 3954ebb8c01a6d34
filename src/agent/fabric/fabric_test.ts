// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { HandClock } from "../../lib/testing/hand_clock.ts";
import { type DiscoveryRecord, Fabric, Lease, LEASE_MS, socketOf } from "./mod.ts";

async function withFabric(
  test: (fabric: Fabric, dir: string, clock: HandClock) => Promise<void>,
): Promise<void> {
  const top = await Deno.makeTempDir();
  const clock = new HandClock();
  try {
    const fabric = new Fabric(`${top}/fabric`, clock);
    await test(fabric, `${top}/fabric`, clock);
  } finally {
    await Deno.remove(top, { recursive: true });
  }
}

const record = (agent_id: string, clock: HandClock, more = {}): DiscoveryRecord => ({
  agent_id,
  role: "researcher",
  labels: [],
  endpoint: "unix:///tmp/x.sock",
  pid: 7,
  version: "1",
  started_at: new Date(clock.now()).toISOString(),
  lease_expires_at: new Date(clock.now() + LEASE_MS).toISOString(),
  enforces: ["max_rounds"],
  ...more,
});

Deno.test("a record is published, found by id and by role, and withdrawn", () =>
  withFabric(async (fabric, dir, clock) => {
    assert.deepEqual(await fabric.discover(), []);
    await fabric.open();
    const other = record("b", clock, { role: "guardian" });
    const odd = record("../a/b", clock);
    for (const each of [other, record("a", clock), odd]) await fabric.publish(each);
    assert.deepEqual((await fabric.discover()).map(({ agent_id }) => agent_id), [
      "../a/b",
      "a",
      "b",
    ]);
    assert.deepEqual(await fabric.discover("guardian"), [other]);
    assert.deepEqual(await fabric.resolve("../a/b"), odd);
    assert.equal(await fabric.resolve("c"), null);
    assert.equal((await Deno.stat(dir)).mode! & 0o777, 0o700);
    for await (const { name } of Deno.readDir(dir)) {
      assert.match(name, /^[^.].*\.json$/, "nothing half-written stays");
      assert.equal((await Deno.stat(`${dir}/${name}`)).mode! & 0o777, 0o600);
    }
    await fabric.withdraw("a");
    await fabric.withdraw("a");
    assert.equal(await fabric.resolve("a"), null);
  }));

Deno.test("what is expired, torn, hidden or another's is not there; gc removes what is of no use", () =>
  withFabric(async (fabric, dir, clock) => {
    await fabric.open();
    await fabric.publish(record("live", clock));
    await fabric.publish(record("old", clock, {
      lease_expires_at: new Date(clock.now()).toISOString(),
    }));
    await Deno.writeTextFile(`${dir}/torn.json`, '{"agent_id":');
    await Deno.writeTextFile(`${dir}/huge.json`, " ".repeat(100_000));
    await Deno.writeTextFile(`${dir}/.hidden.json`, "{}");
    await Deno.writeTextFile(`${dir}/notes.txt`, "");
    // Its file says another name than it has.
    await Deno.copyFile(`${dir}/live.json`, `${dir}/forged.json`);
    assert.equal(await fabric.resolve("forged"), null);
    assert.equal(await fabric.resolve("old"), null);
    await Deno.remove(`${dir}/forged.json`);
    assert.deepEqual((await fabric.discover()).map(({ agent_id }) => agent_id), ["live"]);
    assert.equal(await fabric.gc(), 3);
    const left = (await Array.fromAsync(Deno.readDir(dir))).map(({ name }) => name).sort();
    assert.deepEqual(left, [".hidden.json", "live.json", "notes.txt"]);
  }));

Deno.test("many writers at once leave one whole record", () =>
  withFabric(async (fabric, _dir, clock) => {
    await fabric.open();
    await Promise.all(
      Array.from({ length: 20 }, (_, n) => fabric.publish(record("a", clock, { pid: n }))),
    );
    assert.equal((await fabric.discover()).length, 1);
  }));

Deno.test("a directory that others may write, or that isn't ours, is refused", () =>
  withFabric(async (fabric, dir) => {
    await Deno.mkdir(dir, { mode: 0o755 });
    await Deno.chmod(dir, 0o755);
    await assert.rejects(fabric.open(), { code: "shared-directory" });
    await Deno.remove(dir);
    await Deno.symlink("/tmp", dir);
    await assert.rejects(fabric.open(), { code: "shared-directory" });
    await assert.rejects(new Fabric(`/${"x".repeat(110)}`).socketPath("a"), {
      code: "path-too-long",
    });
  }));

Deno.test("a lease is renewed every 20 seconds while its worker lives", () =>
  withFabric(async (fabric, dir, clock) => {
    await fabric.open();
    const { lease_expires_at: _, ...mine } = record("a", clock);
    const lease = new Lease(fabric, mine, clock);
    let lost = 0;
    await lease.begin(() => lost++);
    for (let n = 0; n < 4; n++) {
      const before = (await fabric.resolve("a"))!.lease_expires_at;
      await clock.next();
      assert.ok((await fabric.resolve("a"))!.lease_expires_at > before);
    }
    await lease.end();
    assert.equal(await fabric.resolve("a"), null);
    assert.equal(lost, 0);
    // One that can't be renewed says so once.
    const second = new Lease(fabric, mine, clock);
    const gone = Promise.withResolvers<void>();
    await second.begin(() => gone.resolve());
    await Deno.remove(dir, { recursive: true });
    const turn = clock.next();
    await gone.promise;
    await second.end();
    // For the clock, which waits until somebody sleeps again.
    const stop = new AbortController();
    const asleep = clock.sleep(1, stop.signal).catch(() => {});
    await turn;
    stop.abort();
    await asleep;
  }));

Deno.test("an endpoint's socket", () => {
  assert.equal(socketOf("unix:///run/x.sock"), "/run/x.sock");
  assert.equal(socketOf("unix://x.sock"), null);
  assert.equal(socketOf("wss://gpu-host:8443"), null);
});
