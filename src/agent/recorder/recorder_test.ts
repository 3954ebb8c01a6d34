// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import { systemClock } from "../../lib/clock.ts";
import { closeQuietly, copyBoth, type Duplex } from "../../lib/duplex.ts";
import { ALICE, type Bed, makeBed } from "../../services/agent/testing/bed.ts";
import type { AgentEvent } from "../event.ts";
import { Recorder } from "./recorder.ts";
import { TurnRecorder } from "./turns.ts";

const WAIT_MS = 60_000;

/**
 * Between a caller and the service: each connection ends when its answers come to so many bytes, before the last of them
 * is passed on: what was asked was heard. Connections after those in the list don't end.
 */
class Weak implements AsyncDisposable {
  readonly #listener: Deno.UnixListener;
  readonly #done: Promise<void>;
  readonly #open = new Set<Deno.UnixConn>();

  constructor(path: string, target: string, cuts: number[]) {
    this.#listener = Deno.listen({ transport: "unix", path });
    this.#done = this.#accept(target, cuts);
  }

  async #accept(target: string, cuts: number[]): Promise<void> {
    const all: Promise<void>[] = [];
    try {
      for await (const near of this.#listener) all.push(this.#join(near, target, cuts.shift()));
    } catch {
      // It was closed.
    }
    await Promise.all(all);
  }

  async #join(near: Deno.UnixConn, target: string, cut = Infinity): Promise<void> {
    const far = await Deno.connect({ transport: "unix", path: target });
    for (const end of [near, far]) this.#open.add(end);
    let passed = 0;
    const weak: Duplex = {
      read: async (buffer) => {
        const length = await far.read(buffer);
        passed += length ?? 0;
        if (passed >= cut) throw new Deno.errors.ConnectionReset("cut");
        return length;
      },
      write: (bytes) => far.write(bytes),
      closeWrite: () => far.closeWrite(),
      close: () => far.close(),
    };
    await copyBoth(near, weak, { up: 0, down: 0 });
    for (const end of [near, far]) this.#open.delete(end);
  }

  async [Symbol.asyncDispose]() {
    closeQuietly(this.#listener);
    for (const end of this.#open) closeQuietly(end);
    await this.#done;
  }
}

async function tokenFile(bed: Bed): Promise<string> {
  const path = `${bed.dir}/agent.token`;
  await Deno.writeTextFile(path, await bed.token(ALICE));
  return path;
}

async function until(what: string, check: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = Date.now() + WAIT_MS;
  while (!await check()) {
    if (Date.now() > deadline) throw new Error(`${what}: not within ${WAIT_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const text = (at: number): AgentEvent => ({ type: "text", text: `line ${at}` });
const END: AgentEvent = { type: "end", status: "completed", result: "done", error: null };

Deno.test("wherever a connection breaks, each event is in the log once, in order, and counts once", async () => {
  const plans = fc.record({
    cuts: fc.array(fc.integer({ min: 1, max: 900 }), { maxLength: 6 }),
    turns: fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 4 }),
  });
  await using bed = await makeBed();
  const file = await tokenFile(bed);
  let run = 0;
  await fc.assert(
    fc.asyncProperty(plans, async ({ cuts, turns }) => {
      const session = `s${++run}`;
      const path = `${bed.dir}/weak-${run}.sock`;
      await using _weak = new Weak(path, bed.socket, [...cuts]);
      const recorder = new Recorder({
        ...{ program: "native", socket: path, tokenFile: file },
        clock: {
          now: Date.now,
          sleep: (ms, signal) => systemClock.sleep(ms === WAIT_MS ? ms : 1, signal),
        },
      });
      const turn = new TurnRecorder(recorder);
      turn.event({ type: "session", session_id: session });
      let said = 0;
      for (const lines of turns) {
        for (let i = 0; i < lines; i++) turn.event(text(said++));
        turn.event(END);
        // Some of it is on its way while the next is told.
        await new Promise((done) => setTimeout(done, 2));
      }
      const wanted = turns.length + said + 1;
      const kept = async () =>
        new TextDecoder().decode(
          await new Response(ReadableStream.from(bed.store.sessions.log(ALICE, session, 0)))
            .bytes(),
        ).trimEnd().split("\n").map((line) => JSON.parse(line) as AgentEvent);
      const isThere = () =>
        bed.store.sessions.list(ALICE, 1)[0]?.session_id === session &&
        bed.store.sessions.find(ALICE, session).metrics.turns === turns.length;
      await until("all is told", isThere);
      await until("all is committed", () => {
        const tip = bed.store.context.tip(ALICE);
        if (tip === null) return false;
        const { commits } = bed.store.context.history(ALICE, tip, 100);
        return commits.filter(({ session_id }) => session_id === session).length === turns.length;
      });
      await recorder.close(WAIT_MS);
      const events = await kept();
      assert.equal(events.length, wanted);
      assert.deepEqual(
        events.filter(({ type }) => type === "text").map((event) =>
          (event as { text: string }).text
        ),
        Array.from({ length: said }, (_, at) => `line ${at}`),
      );
      assert.equal(bed.store.sessions.find(ALICE, session).outcome, "ended");
      // Its context is the same, in its chain.
      const chain = bed.store.context.chain(bed.store.context.tip(ALICE)!, "root");
      const context = await new Response(
        ReadableStream.from(bed.store.read(chain.map(({ content }) => content))),
      ).text();
      assert.equal(context.split("\n").filter((line) => line.includes('"text"')).length, said);
    }),
    { numRuns: 12 },
  );
});

Deno.test("a service that is away, comes back, or is nobody: the agent goes on", async () => {
  await using bed = await makeBed();
  const recorder = new Recorder({
    ...{ program: "native", socket: bed.socket, tokenFile: `${bed.dir}/agent.token` },
  });
  // Nobody fills the role: nothing is kept, and nothing waits.
  recorder.event({ type: "session", session_id: "s1" });
  recorder.event(text(1));
  assert.equal(await recorder.context(() => true), null);
  await new Promise((done) => setTimeout(done, 500));
  assert.deepEqual(bed.store.sessions.list(ALICE, 10), []);
  assert.equal(recorder.hasGap, true);
  await tokenFile(bed);
  recorder.event(text(2));
  await until("it is told", () => (bed.store.sessions.list(ALICE, 1)[0]?.log_bytes ?? 0) > 0);
  await bed.restart();
  recorder.event(text(3));
  const log = async () =>
    await new Response(ReadableStream.from(bed.store.sessions.log(ALICE, "s1", 0))).text();
  await until("the rest is told", async () => (await log()).includes("line 3"));
  assert.deepEqual(
    (await log()).trimEnd().split("\n").map((line) => JSON.parse(line).text),
    ["line 2", "line 3"],
  );
  // What another of its programs never ended is superseded.
  const next = new Recorder({
    ...{ program: "native", socket: bed.socket, tokenFile: `${bed.dir}/agent.token` },
  });
  next.event({ type: "session", session_id: "s2" });
  await until("the next begins", () => bed.store.sessions.active(ALICE)?.session_id === "s2");
  assert.equal(bed.store.sessions.find(ALICE, "s1").outcome, "superseded");
  await Promise.all([recorder.close(100), next.close(WAIT_MS)]);
});
