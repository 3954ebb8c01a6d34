// SPDX-License-Identifier: Apache-2.0

/** The host with real workers, from source and without sandboxes; tests/escape/worker_host_test.ts has them in theirs. */
import assert from "node:assert/strict";
import { type Clock, systemClock } from "../../lib/clock.ts";
import { createLogger } from "../../lib/log.ts";
import type { RunOutcome } from "../parent/connection.ts";
import { fromSource, PATIENCE_MS, Rig } from "../parent/testing/rig.ts";
import { completeSpec, type ProvisionInput, type ProvisionSpec } from "../provision/mod.ts";
import type { WorkerView } from "./api.ts";
import { findHost, type HostClient, hostClient, placeOnHost } from "./client.ts";
import { serveHost } from "./serve.ts";

const LINGER_MS = 54_321;

/** A host in this process, and who asks it. */
class Bed implements AsyncDisposable {
  readonly stop = new AbortController();
  readonly dir: string;
  readonly launched: { readonly pid: number; readonly spec: ProvisionSpec }[] = [];
  readonly served: Promise<void>;
  client!: HostClient;

  private constructor(readonly rig: Rig, clock?: Clock) {
    this.dir = `${rig.dir}/h`;
    this.served = this.serve(clock);
  }

  static async make(clock?: Clock): Promise<Bed> {
    const bed = new Bed(await Rig.make(), clock);
    await eventually(async () => (bed.client = await bed.find() ?? absent()) && undefined);
    return bed;
  }

  serve(clock = systemClock): Promise<void> {
    return serveHost({
      bootstrap: { version: 1, mode: "host", host_dir: this.dir, state_dir: "/s" },
      isServed: async () => await this.find() !== null,
      launcher: () => ({
        launch: async (spec) => {
          const process = await fromSource.launch(spec);
          this.launched.push({ pid: process.pid, spec });
          return process;
        },
      }),
      registrationMs: PATIENCE_MS,
      log: createLogger("host", {}, () => {}),
      signal: this.stop.signal,
      clock,
      lingerMs: LINGER_MS,
    });
  }

  find(state_dir = "/s"): Promise<HostClient | null> {
    return findHost({ host_dir: this.dir, state_dir });
  }

  spec(more: Partial<ProvisionInput> = {}): ProvisionInput {
    return completeSpec(this.rig.spec("c", more));
  }

  async spawn(name: string | null, size: number | null, more: Partial<ProvisionInput> = {}) {
    const spec = JSON.parse(JSON.stringify(this.spec(more)));
    return await this.client.call("spawn", { body: { name, size, launcher: {}, spec } });
  }

  /** One run, as `worker run` does it. @param name null: on the pool that the spec names */
  async run(
    name: string | null,
    assignment: string,
    spec: ProvisionInput = this.spec(),
    signal?: AbortSignal,
  ): Promise<{ outcome: RunOutcome; events: unknown[]; on: string }> {
    const worker = await placeOnHost({ host_dir: this.dir, name }, spec);
    const events: unknown[] = [];
    const outcome = await worker.run({ assignment }, {
      onEvent: (event) => events.push(event),
      ...(signal === undefined ? {} : { signal }),
    });
    await worker.leave();
    return { outcome, events, on: worker.record.agent_id };
  }

  async view(name: string): Promise<WorkerView | undefined> {
    const { workers } = await this.client.call("list");
    return workers.find((view) => view.name === name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop.abort();
    await this.served;
    this.client.close();
    await assert.rejects(Deno.stat(this.dir), "it leaves nothing");
    for (const { pid } of this.launched) {
      await assert.rejects(Deno.stat(`/proc/${pid}/exe`), "a worker lives on");
    }
    await this.rig[Symbol.asyncDispose]();
  }
}

const absent = (): never => {
  throw new Error("no host");
};

async function eventually<T>(look: () => Promise<T>): Promise<T> {
  for (const deadline = Date.now() + PATIENCE_MS;;) {
    try {
      return await look();
    } catch (thrown) {
      if (Date.now() > deadline) throw thrown;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

const completed = (result: string) => ({ status: "completed", result });

Deno.test("a worker is spawned, listed, used run after run, and stopped", async () => {
  await using bed = await Bed.make();
  const role = { identity: { child_id: "x", role: "reader" } };
  assert.deepEqual(await bed.spawn("reader", null, role), { name: "reader", workers: ["reader"] });
  assert.equal((await bed.spawn(null, null)).name, "worker-1");
  assert.deepEqual(await bed.spawn("reader", null).catch(({ code }) => code), "name-taken");
  const idle = await bed.view("reader");
  assert.deepEqual({ ...idle, since: 0 }, {
    name: "reader",
    pool: null,
    executor: "echo",
    role: "reader",
    state: "idle",
    live: true,
    since: 0,
    runs: 0,
    last: null,
    reason: null,
  });
  for (const words of ["first words", "second"]) {
    const { outcome, events } = await bed.run("reader", words);
    assert.deepEqual(outcome, completed(`echo: ${words}`));
    assert.equal(events.length, words.split(" ").length + 1);
  }
  // Whoever has it without a run may be about to leave: the next waits for that.
  const before = await placeOnHost({ host_dir: bed.dir, name: "reader" }, bed.spec());
  const next = bed.run("reader", "third");
  const soon = new Promise((resolve) => setTimeout(resolve, 300, "it waits"));
  assert.equal(await Promise.race([soon, next.catch(({ code }) => code)]), "it waits");
  await before.leave();
  assert.deepEqual((await next).outcome, completed("echo: third"));
  const used = await bed.view("reader");
  assert.deepEqual([used?.state, used?.runs, used?.last], ["idle", 3, "completed"]);
  assert.equal(bed.launched.length, 2, "the same process did all runs");

  const worker = await placeOnHost({ host_dir: bed.dir, name: "reader" }, bed.spec());
  const began = Promise.withResolvers<void>();
  const run = worker.run({ assignment: "__sleep_ms:600000 x" }, { onStart: () => began.resolve() });
  await began.promise;
  assert.equal((await bed.view("reader"))?.state, "running");
  await assert.rejects(bed.run("reader", "x"), { code: "busy" });
  assert.deepEqual(await bed.client.call("stop", { params: { name: "reader" } }), {
    stopped: ["reader"],
  });
  assert.equal((await run).status, "error", "it ended with its worker");
  await worker.leave();
  const ended = await bed.view("reader");
  assert.deepEqual([ended?.state, ended?.live, ended?.reason], ["ended", false, "it was stopped"]);
  assert.deepEqual(await bed.client.call("stop", { params: { name: "reader" } }), {
    stopped: ["reader"],
  });
  await assert.rejects(bed.client.call("stop", { params: { name: "raeder" } }), {
    code: "unknown-worker",
    hint: "did you mean reader?",
  });
  await assert.rejects(bed.run("reader", "x"), { code: "ended" });
  assert.equal((await bed.spawn("reader", null)).name, "reader", "its name is free");
  await assert.rejects(
    bed.spawn("far", null, { placement: { kind: "remote", endpoint: "wss://x" } }),
    {
      code: "bad-placement",
    },
  );
});

Deno.test("what goes wrong ends a worker, and whoever leaves in mid-run, too", async () => {
  await using bed = await Bed.make();
  await bed.spawn("one", null);
  const stop = new AbortController();
  const run = bed.run("one", "__sleep_ms:600000 x", undefined, stop.signal);
  await eventually(async () => assert.equal((await bed.view("one"))?.runs, 1));
  stop.abort();
  assert.deepEqual((await run).outcome, { status: "cancelled" });
  await eventually(async () => {
    const view = await bed.view("one");
    assert.deepEqual([view?.state, view?.reason], ["ended", "its run was cancelled"]);
  });
  await bed.spawn("two", null, { limits: { run_timeout_secs: 1 } });
  const late = await bed.run("two", "__sleep_ms:600000 x");
  assert.notEqual(late.outcome.status, "completed");
  await eventually(async () => assert.equal((await bed.view("two"))?.state, "ended"));
  await bed.spawn("three", null, { limits: { idle_timeout_secs: 1 } });
  await eventually(async () => {
    const view = await bed.view("three");
    assert.deepEqual([view?.state, view?.reason], ["ended", "nobody needed it for 1 s"]);
  });
});

Deno.test("a pool: round robin, only for what its workers were made with, and full again after a loss", async () => {
  await using bed = await Bed.make();
  const kind: Partial<ProvisionInput> = {
    identity: { child_id: "x", role: "reader" },
    placement: { kind: "schedulable", pool: "readers" },
    secrets: { provider_credentials: [{ provider: "p", api_key: "key-one" }] },
  };
  const pool = await bed.spawn("readers", 3, kind);
  assert.deepEqual(pool.workers, ["readers/1", "readers/2", "readers/3"]);
  const on = async (words: string) => {
    const done = await bed.run(null, words, bed.spec(kind));
    assert.deepEqual(done.outcome, completed(`echo: ${words}`));
    return done.on;
  };
  const turns: string[] = [];
  for (let n = 0; n < 6; n++) turns.push(await on(`run ${n}`));
  assert.equal(new Set(turns.slice(0, 3)).size, 3);
  assert.deepEqual(turns.slice(3), turns.slice(0, 3));
  assert.deepEqual((await bed.run("readers", "x")).outcome, completed("echo: x"), "by its name");

  const refused = async (more: Partial<ProvisionInput>) =>
    await bed.run(null, "x", bed.spec({ ...kind, ...more })).then(absent, ({ message }) => message);
  assert.match(
    await refused({ identity: { child_id: "x", role: "other" } }),
    /were made with another spec \(identity\.role\)$/,
  );
  const other = { secrets: { provider_credentials: [{ provider: "p", api_key: "key-two" }] } };
  const message = await refused(other);
  assert.match(message, /another spec \(secrets\.provider_credentials\)$/);
  assert.doesNotMatch(message, /key-/);
  assert.match(await refused({ placement: { kind: "local" } }), /its placement is "local"$/);
  await assert.rejects(
    bed.run(null, "x", bed.spec({ placement: { kind: "schedulable", pool: "reader" } })),
    {
      code: "unknown-worker",
      hint: "did you mean readers?",
    },
  );
  const made = await bed.client.call("spec", { params: { name: "readers" } });
  assert.doesNotMatch(JSON.stringify(made), /key-one/);

  // More at a time than there are workers: all have their turn.
  const many = Array.from({ length: 12 }, (_, n) => on(`at once ${n}`));
  assert.equal(new Set(await Promise.all(many)).size, 3);
  assert.equal(bed.launched.length, 3);

  const lost = bed.launched[0]!.pid;
  Deno.kill(lost, "SIGKILL");
  await eventually(async () => {
    assert.equal(bed.launched.length, 4, "another is started");
    const { workers } = await bed.client.call("list");
    assert.ok(workers.length === 3 && workers.every(({ live }) => live));
  });
  for (let n = 0; n < 3; n++) await on(`after ${n}`);
  await assert.rejects(bed.client.call("stop", { params: { name: "readers/1" } }), {
    code: "not-pooled",
  });
  const { stopped } = await bed.client.call("stop", { params: { name: "readers" } });
  assert.deepEqual(stopped, ["readers/1", "readers/2", "readers/3"]);
  await assert.rejects(bed.run(null, "x", bed.spec(kind)), { code: "unknown-worker" });
});

Deno.test("one host at a time, for one state directory; it ends when it holds nothing", async () => {
  const minute = Promise.withResolvers<void>();
  // The time with nothing to hold is over when the test says so, and not before.
  const bed = await Bed.make({
    now: () => systemClock.now(),
    sleep: (ms, signal) =>
      ms === LINGER_MS
        ? Promise.race([minute.promise, systemClock.sleep(2 ** 30, signal)])
        : systemClock.sleep(ms, signal),
  });
  await bed.spawn("one", null);
  await bed.serve();
  assert.equal((await bed.view("one"))?.state, "idle", "a second one left it in peace");
  await assert.rejects(bed.find("/another"), { code: "other-state" });
  minute.resolve();
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.equal((await bed.view("one"))?.state, "idle", "it holds one");
  await bed.client.call("stop", { params: { name: "one" } });
  await bed.served;
  await using _ = bed;
  assert.equal(await bed.find(), null);
  await assert.rejects(bed.run("one", "x"), { code: "none-live" });
});

Deno.test("a directory that is somebody else's is not used; what a killed host left in it is removed", async () => {
  const rig = await Rig.make();
  await using _ = rig;
  const options = (host_dir: string, signal: AbortSignal) => ({
    bootstrap: { version: 1 as const, mode: "host" as const, host_dir, state_dir: "/s" },
    isServed: () => Promise.resolve(false),
    launcher: () => fromSource,
    log: createLogger("host", {}, () => {}),
    signal,
  });
  const open = `${rig.dir}/open`;
  await Deno.mkdir(open);
  await Deno.chmod(open, 0o755);
  const over = AbortSignal.abort();
  await assert.rejects(serveHost(options(open, over)), { code: "foreign-directory" });
  await Deno.symlink("/tmp", `${rig.dir}/link`);
  await assert.rejects(serveHost(options(`${rig.dir}/link`, over)), { code: "foreign-directory" });
  const dir = `${rig.dir}/h`;
  await Deno.mkdir(`${dir}/w3`, { recursive: true, mode: 0o700 });
  await Deno.writeTextFile(`${dir}/w3/w3.json`, "{}");
  // Of a worker's own worker.
  await Deno.mkdir(`${dir}/n2.net/p`, { recursive: true });
  const stop = new AbortController();
  const served = serveHost(options(dir, stop.signal));
  const client = hostClient(dir);
  await eventually(() => client.call("host"));
  assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name).sort(), [
    "host.lock",
    "host.sock",
    "workers.json",
  ]);
  client.close();
  stop.abort();
  await served;
  await assert.rejects(Deno.stat(dir));
});
