// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { AGAIN_MS, type Candidate, type Memory, plan, SETTLE_MS } from "./plan.ts";
import { quietForMs } from "./quiet.ts";
import type { NotifyTarget } from "./types.ts";

const T0 = Date.UTC(2026, 0, 5, 12);

const target: NotifyTarget = {
  name: "t",
  kind: "webhook",
  url: "http://127.0.0.1:1/",
  states: ["failed", "waiting-approval", "waiting-input"],
  after_ms: 20_000,
  include_text: false,
};

type State = Candidate["attention"]["state"];

/** One agent over time, looked at each second as the notifier would be woken. */
class Story {
  now = T0;
  readonly told = new Map<string, Memory>();
  readonly messages: string[] = [];
  #one: Candidate = agent("working");
  readonly #target: NotifyTarget;

  constructor(change: Partial<NotifyTarget> = {}) {
    this.#target = { ...target, ...change };
  }

  be(state: State, what = "", change: Partial<Candidate> = {}, reason = "question"): this {
    const attention = { ...agent(state).attention, since: this.now, reason: reason as "question" };
    this.#one = { ...agent(state), attention, what, ...change };
    return this;
  }

  /** Another daemon: it has what was written down. */
  restart(): this {
    for (const memory of this.told.values()) memory.otherSince = null;
    return this.be("idle", "", {}, "unheard");
  }

  pass(ms: number): this {
    for (const end = this.now + ms; this.now < end; this.now += 1_000) {
      const { due, forget } = plan(this.#target, [this.#one], this.told, this.now);
      for (const name of forget) this.told.delete(name);
      for (const { principal, attention: { state }, what } of due) {
        this.told.set(principal, { state, what, at: this.now, otherSince: null });
        this.messages.push(`${(this.now - T0) / 1000} ${state} ${what}`.trim());
      }
    }
    return this;
  }
}

function agent(state: State): Candidate {
  return {
    principal: "bureau/fleet/dev/agent/a",
    attention: { state, since: T0, reason: "question", message: "secret words", unseen: true },
    last_line: "secret words",
    what: "",
    typed: null,
    template: "bureau/template:agent",
    room: "!r:s",
  };
}

Deno.test("plan() tells a question once it has stood for a while, and once only", () => {
  const story = new Story().be("waiting-input", "a").pass(3_600_000);
  assert.deepEqual(story.messages, ["20 waiting-input a"]);
});

Deno.test("plan() tells nothing of what passes by itself", () => {
  const story = new Story();
  for (let round = 0; round < 20; round++) {
    story.be("waiting-input", "a").pass(15_000).be("working").pass(15_000);
  }
  assert.deepEqual(story.messages, []);
});

Deno.test("plan() does not repeat what flickers, but what was asked anew after an answer", () => {
  const story = new Story().be("waiting-input", "a").pass(30_000);
  for (let round = 0; round < 10; round++) {
    story.be("working").pass(SETTLE_MS - 2_000).be("waiting-input", "a").pass(30_000);
  }
  assert.equal(story.messages.length, 1);
  story.be("working").pass(SETTLE_MS + 2_000).be("waiting-input", "a").pass(30_000);
  assert.equal(story.messages.length, 2);
  // Somebody typed: the same question again is another one, once nobody types any more.
  const typed = story.now;
  story.be("working", "", { typed }).pass(3_000).be("waiting-input", "a", { typed }).pass(120_000);
  assert.equal(story.messages.length, 3);
});

Deno.test("plan() tells another question of the same agent a minute after the last", () => {
  const story = new Story().be("waiting-input", "a").pass(25_000).be("waiting-input", "b")
    .pass(600_000);
  assert.deepEqual(story.messages, [
    "20 waiting-input a",
    `${20 + AGAIN_MS / 1000} waiting-input b`,
  ]);
});

Deno.test("plan() tells a worse state at its own time", () => {
  const story = new Story().be("waiting-input", "a").pass(25_000).be("failed", "x").pass(60_000);
  assert.deepEqual(story.messages, ["20 waiting-input a", "45 failed x"]);
});

Deno.test("plan() repeats nothing because a daemon or a relay was killed", () => {
  const story = new Story().be("waiting-input", "a").pass(40_000);
  for (let kill = 0; kill < 5; kill++) {
    // Long before its relay is heard again, then a screen that is being drawn.
    story.restart().pass(120_000).be("working").pass(6_000).be("waiting-input", "a").pass(60_000);
  }
  assert.equal(story.messages.length, 1);
});

Deno.test("plan() is silent in quiet hours, and tells in their end what still stands", () => {
  const story = new Story({ quiet_hours: "11:00-13:00" }).be("waiting-input", "a").pass(7_200_000);
  assert.deepEqual(story.messages, ["3600 waiting-input a"]);
});

Deno.test("plan() asks nobody who types there", () => {
  const story = new Story().be("waiting-input", "a", { typed: T0 }).pass(200_000);
  assert.deepEqual(story.messages, ["30 waiting-input a"]);
});

Deno.test("plan() chooses by state, agent, template and room", () => {
  const told = (change: Partial<NotifyTarget>) =>
    new Story(change).be("waiting-input", "a").pass(30_000).messages.length === 1;
  assert.ok(told({ agents: ["agent/*"], templates: ["bureau/template:*"], rooms: ["!r:s"] }));
  assert.ok(!told({ agents: ["service/*"] }));
  assert.ok(!told({ templates: ["bureau/template:scribe"] }));
  assert.ok(!told({ rooms: ["!other:s"] }));
  assert.ok(!told({ states: ["failed"] }));
});

Deno.test("plan() names the next time at which it has something to say", () => {
  const one = agent("waiting-input");
  const told = new Map<string, Memory>();
  assert.equal(plan(target, [one], told, T0).wake, T0 + 20_000);
  assert.equal(plan(target, [agent("working")], told, T0).wake, null);
});

Deno.test("quietForMs() knows midnight and time zones", () => {
  const at = (hours: string, zone: string | undefined, time: string) =>
    quietForMs(hours, zone, Date.parse(time)) / 60_000;
  assert.equal(at("22:00-07:00", undefined, "2026-01-05T23:30:00Z"), 450);
  assert.equal(at("22:00-07:00", undefined, "2026-01-05T06:59:00Z"), 1);
  assert.equal(at("22:00-07:00", undefined, "2026-01-05T07:00:00Z"), 0);
  assert.equal(at("22:00-07:00", undefined, "2026-01-05T21:59:30Z"), 0);
  assert.equal(at("22:00-07:00", "Europe/Berlin", "2026-07-05T20:30:00Z"), 510);
  assert.equal(at("22:00-07:00", "Europe/Berlin", "2026-07-05T19:30:00Z"), 0);
  assert.equal(at("09:00-09:00", undefined, "2026-01-05T09:00:00Z"), 0);
  assert.equal(quietForMs(undefined, undefined, T0), 0);
});
