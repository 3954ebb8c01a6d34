// SPDX-License-Identifier: Apache-2.0

/** Which messages are of one turn, and that each has one answer, wherever the agent is killed. */
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { Queue } from "../../src/agent/driver/queue.ts";
import type { Steering } from "./payload.ts";
import { readManners } from "./payload.ts";
import { type Engine, Pump, type Task, type Turn } from "./pump.ts";
import { History } from "./testing/history.ts";

/** What stands on the disk. */
interface Kept {
  given: string[];
}

/** An agent that works as its test says. */
class Puppet implements Engine {
  readonly isOpen = false;
  readonly inbox: Task[] = [];
  had: Task[] = [];
  wasInterrupted = false;
  readonly #turns = new Queue<Turn>();
  readonly #ended = this.#turns[Symbol.asyncIterator]();
  /** Closed: what is given is on the disk, and goes no further. */
  isOut = false;

  constructor(readonly kept: Kept, readonly prompts: string[] = []) {}

  has(id: string): boolean {
    return this.kept.given.includes(id);
  }

  async give(task: Task): Promise<void> {
    if (!this.has(task.id)) this.kept.given.push(task.id);
    if (this.isOut) await new Promise(() => {});
    this.inbox.push(task);
    if (this.had.length === 0) this.safePoint(1);
  }

  async next(): Promise<Turn> {
    if (this.had.length === 0) this.safePoint(1);
    return (await this.#ended.next()).value;
  }

  done(ids: readonly string[]): Promise<void> {
    this.kept.given = this.kept.given.filter((id) => !ids.includes(id));
    return Promise.resolve();
  }

  interrupt(): void {
    this.wasInterrupted = true;
    this.end("cancelled");
  }

  beginAnew(): Promise<void> {
    this.prompts.push("anew");
    return Promise.resolve();
  }

  safePoint(most = Infinity): void {
    const taken = this.inbox.splice(0, most);
    this.had.push(...taken);
    this.prompts.push(...taken.map(({ id }) => id));
  }

  end(status: "completed" | "cancelled" = "completed"): void {
    if (this.had.length === 0) return;
    const ids = this.had.map(({ id }) => id);
    this.had = [];
    this.#turns.push({ end: { type: "end", status, result: ids.join(), error: null }, ids });
  }
}

/** Until everything that can happen has happened: nothing here waits for more than promises. */
const settled = () => new Promise((resolve) => setTimeout(resolve, 0));

class Rig {
  readonly history = new History();
  readonly prompts: string[] = [];
  readonly kept: Kept = { given: [] };
  /** What it is killed in the middle of. */
  dies: "before" | "after" | null = null;
  puppet!: Puppet;
  #pump!: Pump;
  #room = this.history.room();
  #stop = new AbortController();

  constructor(private readonly steering: Steering = "asker") {
    this.start();
  }

  start(): void {
    this.#stop.abort();
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    this.dies = null;
    const room = this.#room = this.history.room();
    this.puppet = new Puppet(this.kept, this.prompts);
    this.#pump = new Pump({
      engine: this.puppet,
      steering: this.steering,
      answer: async (...answer) => {
        if (signal.aborted || this.dies === "before") await new Promise(() => {});
        await room.answer(...answer);
        if (this.dies === "after") await new Promise(() => {});
      },
    });
    void this.#pump.work(signal);
  }

  async look(): Promise<void> {
    this.#pump.hear(await this.#room.unanswered());
    await settled();
  }

  /** Said and heard. @returns its id */
  async says(body: string, sender = "@ada:b", more = {}): Promise<string> {
    const id = this.history.ask(body, more, sender);
    await this.look();
    return id;
  }

  async type(line: string): Promise<void> {
    this.#pump.type(line);
    await settled();
  }

  async end(): Promise<void> {
    this.puppet.end();
    await settled();
  }

  answered(): string[] {
    return this.history.answers().map(({ ids }) => ids.join());
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
  }
}

const STEPS = [
  ...["ada", "ada", "bob", "later", "look", "look", "safe", "safe", "end", "end"],
  ...["kill", "kill before it answers", "kill after it answered", "kill as it is given more"],
] as const;

Deno.test("each message has one answer, and its asker's in order, wherever the agent is killed", async () => {
  let together = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom<Steering[]>("asker", "everyone", "nobody"),
      fc.array(fc.constantFrom(...STEPS), { maxLength: 60, size: "max" }),
      async (steering, steps) => {
        using rig = new Rig(steering);
        const asked: { id: string; by: string }[] = [];
        for (const step of steps) {
          if (step === "ada" || step === "bob" || step === "later") {
            const by = step === "bob" ? "@bob:b" : "@ada:b";
            const id = rig.history.ask(step === "later" ? "!queue x" : "x", {}, by);
            asked.push({ id, by: step });
          } else if (step === "look") await rig.look();
          else if (step === "safe") rig.puppet.safePoint();
          else if (step === "end") await rig.end();
          else {
            if (step === "kill before it answers") rig.dies = "before";
            if (step === "kill after it answered") rig.dies = "after";
            if (step === "kill as it is given more") rig.puppet.isOut = true;
            else if (step !== "kill") await rig.end();
            await rig.look();
            rig.start();
            await settled();
          }
        }
        await rig.look();
        for (const _ of asked) await rig.end();
        const answers = rig.history.answers().map(({ ids }) => ids);
        assert.deepEqual(answers.flat().toSorted(), asked.map(({ id }) => id).toSorted());
        for (const asker of ["ada", "bob"]) {
          const its = asked.filter(({ by }) => by === asker).map(({ id }) => id);
          assert.deepEqual(answers.flat().filter((id) => its.includes(id)), its);
        }
        if (steering === "nobody") assert.ok(answers.every((ids) => ids.length === 1));
        together += answers.filter((ids) => ids.length > 1).length;
      },
    ),
    { numRuns: 60 },
  );
  assert.ok(together > 0, "a turn of several");
});

Deno.test("who asked is heard in the middle of the turn; another waits, and is not forgotten over a restart", async () => {
  using rig = new Rig();
  const one = await rig.says("do it");
  const other = await rig.says("and mine?", "@bob:b");
  const more = await rig.says("but gently");
  rig.puppet.safePoint();
  assert.deepEqual(rig.prompts, [one, more]);
  await rig.end();
  // A reply to the newest, which stands after what has no answer yet.
  assert.deepEqual(rig.answered(), [`${one},${more}`]);
  assert.deepEqual(rig.prompts, [one, more, other]);
  rig.start();
  await rig.look();
  assert.deepEqual(rig.prompts.slice(3), [other]);
  await rig.end();
  assert.deepEqual(rig.answered(), [`${one},${more}`, other]);
  rig.start();
  await rig.look();
  assert.equal(rig.prompts.length, 4);
});

Deno.test("a thread's own people are heard in it, and answered there", async () => {
  using rig = new Rig();
  const one = await rig.says("do it");
  const thread = { "m.relates_to": { rel_type: "m.thread", event_id: one } };
  const other = await rig.says("mind the gap", "@bob:b", thread);
  rig.puppet.safePoint();
  assert.deepEqual(rig.prompts, [one, other]);
  await rig.end();
  assert.deepEqual(rig.history.events.at(-1)!.content["m.relates_to"], {
    rel_type: "m.thread",
    event_id: one,
    "m.in_reply_to": { event_id: other },
  });
});

Deno.test("another room has a turn and an answer of its own, whoever is heard", async () => {
  const puppet = new Puppet({ given: [] });
  const answers: string[] = [];
  const pump = new Pump({
    engine: puppet,
    steering: "everyone",
    answer: (messages, _, open) => {
      const [{ room } = { room: "" }] = messages;
      answers.push(`${room}: ${messages.map(({ id }) => id)}, open ${open}`);
      return Promise.resolve();
    },
  });
  const stop = new AbortController();
  void pump.work(stop.signal);
  pump.hear(["!a 1", "!b 2", "!a 3", "!b 4"].map((said) => {
    const [room = "", id = ""] = said.split(" ");
    return { id, room, sender: `@${id}:b`, text: "x", isQuestion: false, thread: null };
  }));
  for (const _ of "12") {
    await settled();
    puppet.safePoint();
    puppet.end();
  }
  await settled();
  stop.abort();
  assert.deepEqual(answers, ["!a: 1,3, open null", "!b: 2,4, open null"]);
});

Deno.test("!queue waits for the turn's end, !new for that and begins anew, !stop for nothing", async () => {
  using rig = new Rig();
  const one = await rig.says("do it");
  const later = await rig.says("!queue then that");
  const anew = await rig.says("!new");
  const after = await rig.says("now this");
  rig.puppet.safePoint();
  assert.deepEqual(rig.prompts, [one]);
  await rig.says("!stop");
  assert.deepEqual(rig.history.answers(), [{ ids: [one], body: `Stopped.\n\n${one}` }]);
  assert.deepEqual(rig.puppet.had.map(({ text }) => text), ["@ada:b: then that"]);
  await rig.end();
  await rig.end();
  assert.deepEqual(rig.prompts, [one, later, "anew", after]);
  assert.deepEqual(rig.answered(), [one, later, anew, after]);
});

Deno.test("what was stopped while nobody was there to hear it is stopped at the next start", async () => {
  using rig = new Rig();
  const one = await rig.says("do it");
  rig.start();
  rig.history.ask("!stop");
  assert.equal(rig.puppet.wasInterrupted, false);
  await rig.look();
  assert.equal(rig.puppet.wasInterrupted, true);
  assert.deepEqual(rig.answered(), [one]);
});

Deno.test("a stop of before a restart stops nothing that was said after it", async () => {
  using rig = new Rig();
  await rig.says("do it");
  await rig.says("!stop");
  const two = await rig.says("do that");
  rig.start();
  await rig.look();
  assert.equal(rig.puppet.wasInterrupted, false);
  await rig.end();
  assert.equal(rig.answered().at(-1), two);
});

Deno.test("what is typed on its terminal is heard in the middle, and answered to nobody", async () => {
  using rig = new Rig();
  const one = await rig.says("do it");
  await rig.type("carefully");
  rig.puppet.safePoint();
  assert.equal(rig.puppet.had.length, 2);
  await rig.end();
  assert.deepEqual(rig.answered(), [one]);
});

Deno.test("a payload that asks for other manners is refused by its field", () => {
  assert.deepEqual(readManners({}), { steering: "asker", progress: "none" });
  assert.throws(() => readManners({ steering: "all" }), /"steering".*none of asker, everyone/);
  assert.throws(() => readManners({ progress: true }), /"progress".*none of none, thread/);
});
