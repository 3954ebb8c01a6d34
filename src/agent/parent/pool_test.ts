// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { completeSpec, type ProvisionInput, type ProvisionSpec } from "../provision/mod.ts";
import type { WorkerLauncher } from "./launch.ts";
import { WorkerPool } from "./pool.ts";
import { fromSource, PATIENCE_MS, Rig } from "./testing/rig.ts";

/** A launcher that counts. */
class Counting implements WorkerLauncher {
  readonly pids = new Set<number>();

  async launch(spec: ProvisionSpec) {
    const process = await fromSource.launch(spec);
    this.pids.add(process.pid);
    return process;
  }
}

async function withPool(
  test: (
    pool: WorkerPool,
    run: (words: string, more?: Partial<ProvisionInput>, principal?: string) => Promise<string>,
    launched: Counting,
    rig: Rig,
  ) => Promise<void>,
  concurrent = 4,
): Promise<void> {
  await using rig = await Rig.make();
  const launcher = new Counting();
  const pool = new WorkerPool({ launcher, concurrent, registrationMs: PATIENCE_MS });
  let ids = 0;
  const run = async (words: string, more: Partial<ProvisionInput> = {}, principal = "one") => {
    const spec = completeSpec(rig.spec(`child-${ids++}`, more));
    const events: unknown[] = [];
    const outcome = await pool.run(
      { principal, spec, request: { assignment: words } },
      { onEvent: (event) => events.push(event) },
    );
    if (outcome.status !== "completed") return outcome.status;
    // Nothing of another's run, and all of its own.
    const expected = words.split(" ").map((word) => ({ type: "token", content: `${word} ` }));
    assert.deepEqual(events, [...expected, { type: "complete" }]);
    return outcome.result;
  };
  try {
    await test(pool, run, launcher, rig);
  } finally {
    await pool.close();
  }
  assert.equal(pool.size, 0);
  for (const pid of launcher.pids) {
    await assert.rejects(Deno.stat(`/proc/${pid}/exe`), "a worker lives on");
  }
  const left = (await Array.fromAsync(Deno.readDir(`${rig.dir}/f`))).map(({ name }) => name);
  assert.deepEqual(left, []);
}

Deno.test("200 assignments over 4 warm workers: each has its own answer and events", () =>
  withPool(async (pool, run, launched) => {
    const results = await Promise.all(
      Array.from({ length: 200 }, (_, n) => run(`assignment ${n} of two hundred`)),
    );
    assert.deepEqual(
      results,
      Array.from({ length: 200 }, (_, n) => `echo: assignment ${n} of two hundred`),
    );
    assert.equal(launched.pids.size, 4);
    assert.equal(pool.size, 4);
  }));

Deno.test("whatever a worker was made with keeps it from any other run", () =>
  withPool(async (pool, run, launched) => {
    await run("a");
    await run("a", { identity: { child_id: "another", role: "tester", depth: 1 } });
    await run("a", { identity: { child_id: "x", parent_id: "y", role: "tester", depth: 1 } });
    assert.equal(launched.pids.size, 1, "the control: the same again is the same worker");
    const credential = (api_key: string) => ({
      secrets: { provider_credentials: [{ provider: "p", api_key }] },
    });
    const kinds: (readonly [Partial<ProvisionInput>, string?])[] = [
      [{}, "two"],
      [{ identity: { child_id: "x", role: "other", depth: 1 } }],
      [{ identity: { child_id: "x", role: "tester", depth: 2 } }],
      [credential("k1")],
      [credential("k2")],
      [{ model: { provider: "p", model: "m" } }],
      [{ workspace: "/tmp" }],
      [{ disabled_tools: ["a", "b"] }],
      [{ capabilities: { bypass: true } }],
      [{ capabilities: { mcp: { timeout: 0.5 } } }],
      [{ limits: { max_rounds: 9 } }],
    ];
    for (const [index, [more, principal]] of kinds.entries()) {
      await run("a", more, principal);
      assert.equal(launched.pids.size, index + 2, JSON.stringify(more));
    }
    await run("a", { disabled_tools: ["b", "a"] });
    await run("a", credential("k1"));
    assert.equal(launched.pids.size, kinds.length + 1);
    assert.equal(pool.size, kinds.length + 1);
  }));

Deno.test("only a clean run's worker is kept; one that died meanwhile is replaced", () =>
  withPool(async (pool, run, launched, rig) => {
    const stop = new AbortController();
    const spec = completeSpec(rig.spec("c"));
    const cancelled = pool.run(
      { principal: "one", spec, request: { assignment: "__sleep_ms:600000 x" } },
      { signal: stop.signal, onStart: () => stop.abort() },
    );
    assert.deepEqual(await cancelled, { status: "cancelled" });
    assert.equal(pool.size, 0);
    assert.equal(await run("a"), "echo: a");
    assert.equal(launched.pids.size, 2);
    const pid = [...launched.pids].at(-1)!;
    Deno.kill(pid, "SIGKILL");
    // Until it is gone it may still take a run, and end with it.
    const deadline = Date.now() + PATIENCE_MS;
    while (await Deno.stat(`/proc/${pid}`).then(() => true, () => false)) {
      assert.ok(Date.now() < deadline, "it lives on");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.equal(await run("b"), "echo: b");
    assert.equal(launched.pids.size, 3);
    assert.equal(pool.size, 1);
  }));

Deno.test("a worker that nobody needs for its idle time is ended", () =>
  withPool(async (pool, run) => {
    await run("a", { limits: { idle_timeout_secs: 1 } });
    const deadline = Date.now() + PATIENCE_MS;
    while (pool.size > 0) {
      assert.ok(Date.now() < deadline, "it is still there");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }));
