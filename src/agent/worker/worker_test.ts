// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import type { Clock } from "../../lib/clock.ts";
import { completeSpec } from "../provision/mod.ts";
import { sameSecret } from "../../lib/bearer.ts";
import { type Executor, ExecutorRegistry, type RunContext } from "./executor.ts";
import { echoExecutor } from "./executors/echo.ts";
import { readParentFrame, readWorkerFrame } from "./frames.ts";
import { Outbox } from "./outbox.ts";
import { Session, type SessionOptions } from "./session.ts";

/** Time that goes on when it is told to, to whoever sleeps next. */
class Hands implements Clock {
  #now = 1_000_000;
  readonly #asleep: { readonly at: number; readonly wake: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((wake, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const sleeper = { at: this.#now + ms, wake };
      this.#asleep.push(sleeper);
      signal?.addEventListener("abort", () => {
        const at = this.#asleep.indexOf(sleeper);
        if (at !== -1) this.#asleep.splice(at, 1);
        reject(signal.reason);
      }, { once: true });
    });
  }

  /** Waits until somebody sleeps, and wakes who is due first. */
  async wake(): Promise<void> {
    while (this.#asleep.length === 0) await new Promise((resolve) => setTimeout(resolve));
    const [first] = this.#asleep.sort((a, b) => a.at - b.at);
    this.#asleep.shift();
    this.#now = first!.at;
    first!.wake();
  }
}

interface Frame {
  readonly kind: string;
  readonly [key: string]: unknown;
}

/** A parent that takes everything, or as much as it is told to. */
class FakeParent {
  readonly frames: Frame[] = [];
  bufferedAmount = 0;
  #waiting: (() => void)[] = [];

  send(text: string): void {
    this.frames.push(JSON.parse(text));
    for (const look of this.#waiting.splice(0)) look();
  }

  async until(isThere: (frames: readonly Frame[]) => boolean): Promise<readonly Frame[]> {
    while (!isThere(this.frames)) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return this.frames;
  }

  async terminals(count: number): Promise<Frame[]> {
    const of = (frames: readonly Frame[]) => frames.filter(({ kind }) => kind === "terminal");
    return of(await this.until((frames) => of(frames).length >= count));
  }
}

function sessionOf(run: Executor["run"], more: Partial<SessionOptions> = {}) {
  const parent = new FakeParent();
  const session = new Session(parent, { executor: { enforces: [], run }, ...more });
  const say = (frame: unknown) => session.receive(JSON.stringify(frame));
  return { parent, session, say };
}

/** Until its run is cancelled. */
const untilCancelled = ({ signal }: RunContext) =>
  new Promise<string>((_, reject) =>
    signal.addEventListener("abort", () => reject(signal.reason), { once: true })
  );

Deno.test("frames are read as they are written, and others are none", () => {
  const run = { kind: "run", assignment: "x", reasoning_effort: "high", messages: [{ a: [null] }] };
  for (
    const frame of [
      run,
      { kind: "run", assignment: "" },
      { kind: "cancel" },
      { kind: "message", text: "t" },
      { kind: "approval_reply", id: "i", approved: false },
    ]
  ) assert.deepEqual(strip(readParentFrame(JSON.stringify(frame))), frame);
  const absent = { ...run, reasoning_effort: null, messages: null, future: 1 };
  assert.deepEqual(strip(readParentFrame(JSON.stringify(absent))), {
    kind: "run",
    assignment: "x",
  });
  for (
    const frame of [
      { kind: "event", event: { type: "token", content: "x" } },
      { kind: "approval_request", id: "sa-1", body: null },
      { kind: "terminal", status: "completed", result: "" },
      { kind: "terminal", status: "suspended", transcript: [1] },
    ]
  ) assert.deepEqual(strip(readWorkerFrame(JSON.stringify(frame))), frame);
  const others = ["", "{", "[]", "null", '{"kind":"run"}', '{"kind":"subagent_reply"}', 7, null];
  for (const other of [...others, new Uint8Array(1), '{"kind":"terminal","status":"done"}']) {
    assert.equal(readParentFrame(other), null);
    assert.equal(readWorkerFrame(other), null);
  }
});

const strip = (value: unknown) => JSON.parse(JSON.stringify(value));

Deno.test("a run's events come in order, before the one terminal that it has", async () => {
  const { parent, session, say } = sessionOf(echoExecutor().run);
  say({ kind: "run", assignment: " one\ttwo\n three " });
  await parent.terminals(1);
  assert.deepEqual(parent.frames, [
    ...["one ", "two ", "three "].map((content) => ({
      kind: "event",
      event: { type: "token", content },
    })),
    { kind: "event", event: { type: "complete" } },
    { kind: "terminal", status: "completed", result: "echo: one two three" },
  ]);
  assert.equal(await session.close(), true);
});

Deno.test("echo sleeps where it is told to, and wakes when it is cancelled", async () => {
  const clock = new Hands();
  const { parent, say } = sessionOf(echoExecutor(clock).run, { clock });
  say({ kind: "run", assignment: "a __sleep_ms:5000 b __sleep_ms:7" });
  const before = clock.now();
  await clock.wake();
  assert.equal(clock.now() - before, 5000);
  const [terminal] = await parent.terminals(1);
  assert.equal(terminal!["result"], "echo: a b __sleep_ms:7");
  say({ kind: "run", assignment: "__sleep_ms:5000 c" });
  await new Promise((resolve) => setTimeout(resolve));
  say({ kind: "cancel" });
  assert.deepEqual((await parent.terminals(2))[1], { kind: "terminal", status: "cancelled" });
});

Deno.test("whatever an executor throws is an error, and only that run's", async () => {
  let runs = 0;
  const { parent, say } = sessionOf(() => {
    if (++runs === 1) throw new Error("the first is broken");
    return Promise.resolve(`run ${runs}`);
  });
  say({ kind: "run", assignment: "x" });
  await parent.terminals(1);
  say({ kind: "run", assignment: "x" });
  assert.deepEqual(await parent.terminals(2), [
    { kind: "terminal", status: "error", error: "the first is broken" },
    { kind: "terminal", status: "completed", result: "run 2" },
  ]);
});

Deno.test("another run ends the one before it first; each has one terminal, in order", async () => {
  const { parent, say } = sessionOf((context) =>
    context.assignment === "last" ? Promise.resolve("done") : untilCancelled(context)
  );
  for (const assignment of ["one", "two", "three", "last"]) say({ kind: "run", assignment });
  assert.deepEqual(await parent.terminals(4), [
    { kind: "terminal", status: "cancelled" },
    { kind: "terminal", status: "cancelled" },
    { kind: "terminal", status: "cancelled" },
    { kind: "terminal", status: "completed", result: "done" },
  ]);
});

Deno.test("an executor that does not hear is left behind after 3 seconds, and not heard any more", async () => {
  const clock = new Hands();
  const late = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const { parent, session, say } = sessionOf(async ({ emit }) => {
    begun.resolve();
    await late.promise;
    await emit({ type: "late" });
    return "late";
  }, { clock });
  say({ kind: "run", assignment: "x" });
  await begun.promise;
  say({ kind: "cancel" });
  const before = clock.now();
  await clock.wake();
  assert.deepEqual(await parent.terminals(1), [{ kind: "terminal", status: "cancelled" }]);
  assert.equal(clock.now() - before, 3_000);
  late.resolve();
  for (let n = 0; n < 20; n++) await Promise.resolve();
  assert.equal(parent.frames.length, 1, "what it says afterwards is said to nobody");
  assert.equal(await session.close(), false, "this process is of no more use");
});

Deno.test("a run that takes longer than its limit is an error, whoever else watches", async () => {
  const clock = new Hands();
  const { parent, say } = sessionOf(untilCancelled, { clock, timeoutMs: 2_000 });
  say({ kind: "run", assignment: "x" });
  await clock.wake();
  const [terminal] = await parent.terminals(1);
  assert.equal(terminal!["status"], "error");
  assert.match(String(terminal!["error"]), /longer than the 2 s of its run_timeout_secs/);
});

Deno.test("approvals go up and come back; unknown, late and double answers are nothing", async () => {
  const { parent, say } = sessionOf(async ({ approve }) => {
    const answers = await Promise.all([1, 2].map((n) => approve({ tool_name: `t${n}` })));
    return answers.join();
  });
  say({ kind: "run", assignment: "x" });
  const [first, second] = await parent.until((frames) => frames.length === 2);
  assert.match(String(first!["id"]), /^sa-[0-9a-f-]{36}$/);
  assert.deepEqual(first!["body"], { tool_name: "t1" });
  say({ kind: "approval_reply", id: "sa-unknown", approved: true });
  say({ kind: "approval_reply", id: second!["id"], approved: true });
  say({ kind: "approval_reply", id: first!["id"], approved: false });
  say({ kind: "approval_reply", id: first!["id"], approved: true });
  assert.equal((await parent.terminals(1))[0]!["result"], "false,true");
});

Deno.test("nobody's answer, and the end of the run, are a no", async () => {
  const clock = new Hands();
  const asked = sessionOf(async ({ approve }) => String(await approve({})), { clock });
  asked.say({ kind: "run", assignment: "x" });
  await asked.parent.until((frames) => frames.length === 1);
  const before = clock.now();
  await clock.wake();
  assert.equal((await asked.parent.terminals(1))[0]!["result"], "false");
  assert.equal(clock.now() - before, 300_000);
  const answers: boolean[] = [];
  const cancelled = sessionOf(async ({ approve }) => {
    answers.push(await approve({}));
    answers.push(await approve({}));
    return "";
  });
  cancelled.say({ kind: "run", assignment: "x" });
  await cancelled.parent.until((frames) => frames.length === 1);
  cancelled.say({ kind: "cancel" });
  await cancelled.parent.terminals(1);
  assert.deepEqual(answers, [false, false]);
  assert.equal(cancelled.parent.frames.length, 2, "the second question was not asked any more");
});

Deno.test("what the parent says reaches the run that is on, in order, and nobody after it", async () => {
  const { parent, say } = sessionOf(async ({ messageComes, takeMessages }) => {
    const taken: string[] = [];
    while (taken.length < 3) {
      await messageComes();
      taken.push(...takeMessages());
    }
    return taken.join();
  });
  say({ kind: "message", text: "before" });
  say({ kind: "run", assignment: "x" });
  say({ kind: "message", text: "a" });
  say({ kind: "message", text: "b" });
  await new Promise((resolve) => setTimeout(resolve));
  say({ kind: "message", text: "c" });
  assert.equal((await parent.terminals(1))[0]!["result"], "a,b,c");
});

Deno.test("a question overtakes the events that wait for a slow parent", async () => {
  const { parent, session, say } = sessionOf(async ({ emit, approve }) => {
    const told = (async () => {
      for (let n = 0; n < 200; n++) await emit({ n });
    })();
    const answer = await approve({});
    await told;
    return String(answer);
  });
  parent.bufferedAmount = 2 ** 30;
  say({ kind: "run", assignment: "x" });
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(parent.frames.length, 0);
  parent.bufferedAmount = 0;
  const frames = await parent.until((frames) => frames.length > 64);
  assert.equal(frames[0]!.kind, "approval_request");
  say({ kind: "approval_reply", id: frames[0]!["id"], approved: true });
  assert.equal((await parent.terminals(1))[0]!["result"], "true");
  const numbers = parent.frames.filter(({ kind }) => kind === "event")
    .map(({ event }) => (event as { n: number }).n);
  assert.deepEqual(numbers, Array.from({ length: 200 }, (_, n) => n));
  await session.close();
});

Deno.test("an executor that floods without waiting is ended, and the worker goes on", async () => {
  const { parent, say } = sessionOf(async ({ emit, assignment, signal }) => {
    if (assignment === "ok") return "ok";
    for (let n = 0; n < 5_000; n++) void emit({ n });
    await new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
      if (signal.aborted) reject(signal.reason);
    });
    return "";
  });
  parent.bufferedAmount = 2 ** 30;
  say({ kind: "run", assignment: "x" });
  await new Promise((resolve) => setTimeout(resolve, 20));
  parent.bufferedAmount = 0;
  const [terminal] = await parent.terminals(1);
  assert.equal(terminal!["status"], "error");
  assert.match(String(terminal!["error"]), /events were told at once/);
  say({ kind: "run", assignment: "ok" });
  assert.equal((await parent.terminals(2))[1]!["result"], "ok");
});

Deno.test("a parent that goes away cancels the run; nobody waits for it", async () => {
  const parent = new FakeParent();
  parent.bufferedAmount = 2 ** 30;
  let ended = "";
  const session = new Session(parent, {
    executor: {
      enforces: [],
      async run({ emit, signal }) {
        for (let n = 0; n < 200 && !signal.aborted; n++) await emit({ n });
        ended = signal.aborted ? "aborted" : "whole";
        return "";
      },
    },
  });
  session.receive('{"kind":"run","assignment":"x"}');
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(await session.close(), true);
  assert.equal(ended, "aborted");
  session.receive('{"kind":"run","assignment":"x"}');
  assert.equal(parent.frames.length, 0);
});

Deno.test("an outbox whose pipe breaks keeps nobody waiting", async () => {
  const outbox = new Outbox({
    bufferedAmount: 0,
    send: () => {
      throw new Error("broken");
    },
  });
  await outbox.event("x");
  await outbox.event("y");
  await outbox.flushed();
  assert.equal(outbox.control("z"), false);
});

Deno.test("a registry makes what a spec asks for, and refuses what would not keep it", async () => {
  const registry = new ExecutorRegistry().register("echo", () => echoExecutor())
    .register("cli_adapter", () => ({ enforces: [], run: () => Promise.resolve("") }));
  const spec = (more: Record<string, unknown>) =>
    completeSpec({
      version: 1,
      identity: { child_id: "c" },
      executor: { kind: "echo" },
      fabric_dir: "/f",
      ...more,
    });
  assert.ok(await registry.make(spec({ disabled_tools: ["x"], limits: { max_rounds: 1 } })));
  const cli = { executor: { kind: "cli_adapter", command: "x", args: [] } };
  assert.ok(await registry.make(spec({ ...cli, disabled_tools: [] })));
  for (
    const [more, what] of [
      [{ disabled_tools: ["x"] }, "disabled_tools"],
      [{ limits: { max_rounds: 1 } }, "max_rounds"],
      [{ capabilities: { enforce_permissions: true } }, "enforce_permissions"],
      [{ capabilities: { guardian_read_only: true, bypass: true } }, "guardian_read_only"],
      [{ capabilities: { nested_spawn: true } }, "max_spawn_depth"],
    ] as const
  ) {
    await assert.rejects(async () => await registry.make(spec({ ...cli, ...more })), {
      code: "not-enforced",
      message: new RegExp(what),
    });
  }
  await assert.rejects(
    async () => await registry.make(spec({ executor: { kind: "bamboo_runtime" } })),
    { code: "no-executor", hint: "it has cli_adapter, echo" },
  );
});

Deno.test("tokens are compared whole", () => {
  assert.ok(sameSecret("abc", "abc"));
  for (const other of ["", "ab", "abd", "abcd", "ABC", "äb"]) assert.ok(!sameSecret(other, "abc"));
});
