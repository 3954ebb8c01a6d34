// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { BureauError } from "../../lib/errors.ts";
import { createLogger } from "../../lib/log.ts";
import { listenUnix } from "../../lib/http/server.ts";
import type { RunOutcome } from "../parent/connection.ts";
import { PATIENCE_MS, Rig } from "../parent/testing/rig.ts";
import type { RunOptions, Worker } from "../parent/worker.ts";
import { completeSpec, type ProvisionInput, type ProvisionSpec } from "../provision/mod.ts";
import { RESTRICTIONS } from "../fabric/mod.ts";
import { PLACE_PATH, placeAtSocket, type PlacementHost, servePlacement } from "./mod.ts";

/** One that does in its runs what a test says. */
class FakeWorker implements Worker {
  readonly exit = Promise.withResolvers<{ how: string; stderr: string }>();
  readonly exited = this.exit.promise;
  readonly record: Worker["record"];
  isReusable: boolean;
  hasEnded = false;

  constructor(
    readonly spec: ProvisionSpec,
    readonly work: (assignment: string, options: RunOptions) => Promise<RunOutcome>,
    enforces: readonly string[] = RESTRICTIONS,
  ) {
    this.isReusable = spec.reusable;
    this.record = { agent_id: "there-7", enforces: [...enforces] };
  }

  run({ assignment }: { assignment: string }, options: RunOptions = {}): Promise<RunOutcome> {
    return this.work(assignment, options);
  }

  end(): Promise<void> {
    this.hasEnded = true;
    this.isReusable = false;
    this.exit.resolve({ how: "by SIGKILL", stderr: "" });
    return Promise.resolve();
  }
}

/** A host behind a Unix socket. */
class Bed implements AsyncDisposable {
  readonly placements: Promise<void>[] = [];
  readonly sockets: WebSocket[] = [];
  #server?: Deno.HttpServer;
  private constructor(readonly rig: Rig, readonly path: string) {}

  static async make(host: (rig: Rig) => PlacementHost): Promise<Bed> {
    const rig = await Rig.make();
    const bed = new Bed(rig, `${rig.dir}/host.sock`);
    bed.#server = await listenUnix(bed.path, (request) => {
      if (new URL(request.url).pathname !== PLACE_PATH) return new Response(null, { status: 404 });
      const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
      bed.sockets.push(socket);
      bed.placements.push(servePlacement(socket, host(rig)));
      return response;
    }, { mode: 0o600 });
    return bed;
  }

  place(more: Partial<ProvisionInput> = {}, options: { silenceSeconds?: number } = {}) {
    return placeAtSocket(this.path, this.rig.spec("mine", more), {
      answerMs: PATIENCE_MS,
      ...options,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.placements);
    await this.#server?.shutdown();
    await this.rig[Symbol.asyncDispose]();
  }
}

const hosted = (
  work: FakeWorker["work"],
  started: (worker: FakeWorker) => void = () => {},
): PlacementHost => ({
  start(spec) {
    const worker = new FakeWorker(spec, work);
    started(worker);
    return Promise.resolve(worker);
  },
});

const forever = (_: string, { signal }: RunOptions) =>
  new Promise<RunOutcome>((resolve) =>
    signal?.addEventListener("abort", () => resolve({ status: "cancelled" }), { once: true })
  );

Deno.test("a spec crosses whole, and its worker is used like one of this process's own", async () => {
  let crossed: ProvisionSpec | undefined;
  await using bed = await Bed.make((rig) => ({
    start(spec) {
      crossed = spec;
      return rig.start({ ...spec, fabric_dir: `${rig.dir}/f`, placement: { kind: "local" } });
    },
  }));
  const asked: Partial<ProvisionInput> = {
    identity: { child_id: "mine", parent_id: "p", project_key: "k", role: "r", depth: 2 },
    model: { provider: "a", model: "b" },
    disabled_tools: ["Bash"],
    limits: { run_timeout_secs: 600, max_rounds: 3 },
    secrets: {
      provider_credentials: [{ provider: "a", api_key: "sk-0123456789abcdef" }],
      worker_auth_token: "of another worker",
    },
    reusable: true,
    placement: { kind: "schedulable", pool: "gpu" },
    capabilities: { enforce_permissions: true, max_spawn_depth: 3 },
  };
  const worker = await bed.place(asked);
  const { secrets, ...rest } = completeSpec(bed.rig.spec("mine", asked));
  assert.deepEqual(crossed, {
    ...rest,
    secrets: { provider_credentials: secrets.provider_credentials },
  });
  assert.deepEqual(worker.record, {
    kind: "placed",
    agent_id: "mine",
    executor: "echo",
    enforces: [...RESTRICTIONS],
  });
  for (const text of ["one two", "three"]) {
    const events: unknown[] = [];
    const outcome = await worker.run({ assignment: text }, { onEvent: (e) => events.push(e) });
    assert.deepEqual(outcome, { status: "completed", result: `echo: ${text}` });
    assert.equal(events.length, text.split(" ").length + 1);
    assert.equal(worker.isReusable, true);
  }
  await worker.end();
  assert.equal(worker.isReusable, false);
  assert.deepEqual(await worker.run({ assignment: "x" }), {
    status: "error",
    error: "the connection to the worker is closed",
  });
});

Deno.test("questions, answers, words meanwhile and events pass in order", async () => {
  await using bed = await Bed.make(() =>
    hosted(async (_, { onEvent, onApproval, onStart }) => {
      const said: string[] = [];
      const three = Promise.withResolvers<void>();
      onStart?.({
        hear: () => {},
        message(text) {
          if (said.push(text) === 3) three.resolve();
        },
      });
      for (let n = 0; n < 3_000; n++) onEvent?.({ n });
      const answers = await Promise.all(
        [1, 2].map((n) => onApproval?.({ tool: n }, new AbortController().signal)),
      );
      await three.promise;
      return { status: "completed", result: `${answers} ${said}` };
    })
  );
  const worker = await bed.place();
  const numbers: unknown[] = [];
  const outcome = await worker.run({ assignment: "x" }, {
    onEvent: (event) => numbers.push((event as { n: number }).n),
    onApproval: (body) => Promise.resolve((body as { tool: number }).tool === 2),
    onStart: ({ message }) => ["a", "b", "c"].forEach(message),
  });
  assert.deepEqual(outcome, { status: "completed", result: "false,true a,b,c" });
  assert.deepEqual(numbers, Array.from({ length: 3_000 }, (_, n) => n));
  await worker.end();
});

Deno.test("who refuses says why; a host that fails says that it did, and nothing else", async () => {
  const logged: unknown[] = [];
  let answer: unknown = new BureauError("too-deep", "max_spawn_depth is 4", { hint: "higher up" });
  const log = createLogger("host", {}, (line) => logged.push(line));
  await using bed = await Bed.make(() => ({ start: () => Promise.reject(answer), log }));
  await assert.rejects(bed.place(), {
    code: "too-deep",
    message: `Cannot place a worker at "${bed.path}": max_spawn_depth is 4`,
    hint: "higher up",
  });
  answer = new Error("the key is 1234");
  await assert.rejects(bed.place(), { code: "internal", message: /: its host failed$/ });
  assert.match(String(logged), /the key is 1234/, "the host's own log says more");
});

Deno.test("a spec is read as by a worker; what is none is refused", async () => {
  const started: unknown[] = [];
  await using bed = await Bed.make(() => hosted(forever, (worker) => started.push(worker)));
  const say = async (frame: string) => {
    const { unixClient } = await import("../parent/connection.ts");
    using client = unixClient(bed.path);
    const socket = new WebSocket(`ws://192.0.2.1${PLACE_PATH}`, { client: client.http });
    const answers: { code?: string; message?: string }[] = [];
    const closed = Promise.withResolvers<string>();
    socket.onopen = () => socket.send(frame);
    socket.onmessage = ({ data }) => answers.push(JSON.parse(data));
    socket.onclose = ({ reason }) => closed.resolve(reason);
    const reason = await closed.promise;
    return answers[0]?.code ?? reason;
  };
  const place = (spec: string) => say(JSON.stringify({ kind: "place", spec }));
  const rest = '"identity":{"child_id":"c"},"executor":{"kind":"echo"},"fabric_dir":"/f"';
  assert.equal(await place(`{"version":1,"version":1,${rest}}`), "spec-invalid");
  assert.equal(await place(`{"version":2}`), "spec-newer");
  assert.equal(await place(`{"version":1,${rest}`), "spec-truncated");
  assert.equal(await place(" "), "spec-empty");
  const large = `{"version":1,${rest},"x":"${"ä".repeat(4 * 2 ** 20)}"}`;
  assert.equal(await place(large), "spec-oversized");
  for (const frame of ['{"kind":"run","assignment":"x"}', "{", '{"kind":"place","spec":{}}']) {
    assert.equal(await say(frame), "it did not begin with a spec");
  }
  assert.equal(started.length, 0);
  const worker = await bed.place();
  assert.equal(started.length, 1, "the control: one that is well is started");
  await worker.end();
});

Deno.test("a host whose worker lacks a restriction is not used, and its worker ended", async () => {
  const workers: FakeWorker[] = [];
  await using bed = await Bed.make(() => ({
    start(spec) {
      const worker = new FakeWorker(spec, forever, ["disabled_tools"]);
      workers.push(worker);
      return Promise.resolve(worker);
    },
  }));
  await assert.rejects(bed.place({ limits: { max_rounds: 3 }, disabled_tools: ["x"] }), {
    code: "not-enforced",
    message: 'Cannot use the worker "there-7": it does not keep max_rounds',
  });
  await workers[0]!.exited;
  const kept = await bed.place({ disabled_tools: ["x"] });
  assert.equal(workers[1]!.hasEnded, false, "the control");
  await kept.end();
  await workers[1]!.exited;
});

Deno.test("what breaks ends the run once, and the worker with it", async (t) => {
  const workers: FakeWorker[] = [];
  await using bed = await Bed.make(() => hosted(forever, (worker) => workers.push(worker)));
  const hangs = async (silenceSeconds?: number) => {
    const worker = await bed.place(
      { reusable: true },
      silenceSeconds === undefined ? {} : { silenceSeconds },
    );
    return { worker, there: workers.at(-1)!, socket: bed.sockets.at(-1)! };
  };
  await t.step("the parent cancels", async () => {
    const { worker, there } = await hangs();
    const stop = new AbortController();
    const run = worker.run({ assignment: "x" }, {
      signal: stop.signal,
      onStart: () => stop.abort(),
    });
    assert.deepEqual(await run, { status: "cancelled" });
    await there.exited;
    assert.equal(worker.isReusable, false);
  });
  await t.step("the parent's own watch", async () => {
    const { worker, there } = await hangs(1);
    assert.deepEqual(await worker.run({ assignment: "x" }), {
      status: "timeout",
      error: "nothing was heard of it for 1 s",
    });
    await there.exited;
  });
  await t.step("the worker there ends", async () => {
    const { worker, there } = await hangs();
    const run = worker.run({ assignment: "x" }, {
      onStart: () => void there.end(),
    });
    const outcome = await run;
    assert.equal(outcome.status, "error");
    assert.match((await worker.exited).how, /the worker ended by SIGKILL|with its connection/);
  });
  await t.step("the connection", async () => {
    const { worker, there, socket } = await hangs();
    const run = worker.run({ assignment: "x" }, { onStart: () => socket.close(1001, "cut") });
    assert.deepEqual(await run, { status: "error", error: "cut" });
    await there.exited;
    assert.equal(worker.isReusable, false);
  });
});

Deno.test("a worker that could be used again may be kept; one that was ended may not", async () => {
  const workers: FakeWorker[] = [];
  const kept: Worker[] = [];
  const done = (assignment: string) =>
    Promise.resolve<RunOutcome>({ status: "completed", result: assignment });
  await using bed = await Bed.make(() => ({
    ...hosted(done, (worker) => workers.push(worker)),
    keep: (worker) => void kept.push(worker),
  }));
  const left = await bed.place({ reusable: true });
  await left.run({ assignment: "x" });
  await left.leave();
  await bed.placements[0];
  assert.deepEqual([kept.length, workers[0]!.hasEnded], [1, false]);
  const ended = await bed.place({ reusable: true });
  await ended.end();
  await bed.placements[1];
  const once = await bed.place();
  await once.leave();
  await bed.placements[2];
  assert.deepEqual(workers.map(({ hasEnded }) => hasEnded), [false, true, true]);
  assert.equal(kept.length, 1);
});

Deno.test("a parent that takes nothing does not fill its host's memory", async () => {
  await using bed = await Bed.make(() =>
    hosted((_, { onEvent, signal }) => {
      const text = "x".repeat(1024 * 1024);
      // All at once: nobody can have taken any of it.
      for (let n = 0; n < 64; n++) onEvent?.({ text });
      return Promise.resolve(
        signal?.aborted ? { status: "cancelled" } : { status: "completed", result: "all of it" },
      );
    })
  );
  const worker = await bed.place();
  const outcome = await worker.run({ assignment: "x" });
  assert.deepEqual(outcome, {
    status: "error",
    error: "more than 8 MiB of events waited for a parent that takes them too slowly",
  });
  await worker.end();
});
