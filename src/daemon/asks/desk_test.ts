// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createLogger } from "../../lib/log.ts";
import { AskDesk, MAX_PENDING, ONCE_MS } from "./desk.ts";
import { FakeClock } from "./fake_clock_test.ts";
import { type AskStore, memoryAskStore } from "./store.ts";
import type { Ask, Decided } from "./types.ts";

const A = "bureau/fleet/dev/agent/a";
const B = "bureau/fleet/dev/agent/b";
const at = (host: string, port = 443) => ({ host, port });
const never = new AbortController().signal;
const operator = { by: "@op:s", via: "cli" } as const;
const once = { kind: "once" } as const;

async function setup(store: AskStore = memoryAskStore(), clock = new FakeClock()) {
  const asked: Ask[] = [];
  const decided: Decided[] = [];
  const rules: string[] = [];
  const desk = new AskDesk({
    clock,
    log: createLogger("test", {}, () => {}),
    store,
    timeoutOf: () => 120_000,
    onAsk: (ask) => asked.push(ask),
    onDecided: (one) => decided.push(one),
    onRules: (principal) => rules.push(principal),
  });
  await desk.load();
  return { desk, clock, store, asked, decided, rules };
}

Deno.test("many requests for one destination are one question, and one answer lets all go", async () => {
  const { desk, asked, decided } = await setup();
  const waiting = Array.from({ length: 50 }, () => desk.ask(A, at("x.test"), never));
  assert.equal(asked.length, 1);
  assert.equal(desk.pending[0]!.waiting, 50);
  desk.decide(asked[0]!.id, "approve", once, operator);
  for (const answer of await Promise.all(waiting)) assert.equal(answer.allowed, true);
  assert.equal(decided.length, 1);
  desk.close();
});

Deno.test("once holds a minute, then it is asked again; for another destination at once", async () => {
  const { desk, clock, asked } = await setup();
  const first = desk.ask(A, at("x.test"), never);
  desk.decide(asked[0]!.id, "approve", once, operator);
  await first;
  assert.equal((await desk.ask(A, at("x.test"), never)).allowed, true);
  for (const [who, target] of [[A, at("y.test")], [A, at("x.test", 80)], [B, at("x.test")]]) {
    void desk.ask(who as string, target as { host: string; port: number }, never);
  }
  assert.equal(asked.length, 4);
  await clock.advance(ONCE_MS);
  void desk.ask(A, at("x.test"), never);
  assert.equal(asked.length, 5);
  desk.close();
});

Deno.test("nobody answers: it is denied, and asked again only after a while", async () => {
  const { desk, clock, asked } = await setup();
  const waiting = desk.ask(A, at("x.test"), never);
  await clock.advance(119_999);
  assert.equal(desk.pending.length, 1);
  await clock.advance(1);
  assert.deepEqual([(await waiting).allowed, (await waiting).code], [false, "ask-timeout"]);
  assert.equal((await desk.ask(A, at("x.test"), never)).code, "ask-timeout");
  assert.equal(asked.length, 1);
  await clock.advance(ONCE_MS);
  void desk.ask(A, at("x.test"), never);
  assert.equal(asked.length, 2);
  desk.close();
});

Deno.test("a principal has few open questions and no endless supply; others are not concerned", async () => {
  const { desk, clock, asked } = await setup();
  for (let n = 0; n < MAX_PENDING; n++) void desk.ask(A, at(`n${n}.test`), never);
  assert.equal((await desk.ask(A, at("more.test"), never)).code, "ask-too-many");
  void desk.ask(B, at("more.test"), never);
  assert.equal(asked.length, MAX_PENDING + 1);
  // All time out; but asking again and again is bounded too: one more each 20 s.
  await clock.advance(120_000);
  const before = asked.length;
  for (let n = 0; n < 100; n++) void desk.ask(A, at(`later${n}.test`), never);
  assert.equal(asked.length - before, 6);
  desk.close();
});

Deno.test("a caller that leaves is let go; its question stays for when it tries again", async () => {
  const { desk, asked } = await setup();
  const leaving = new AbortController();
  const gone = desk.ask(A, at("x.test"), leaving.signal);
  leaving.abort();
  assert.equal((await gone).code, "ask-withdrawn");
  assert.equal(desk.pending[0]!.waiting, 0);
  desk.decide(asked[0]!.id, "approve", once, operator);
  assert.equal((await desk.ask(A, at("x.test"), never)).allowed, true);
  desk.close();
});

Deno.test("a decision for a while outlives the daemon, and ends when it should", async () => {
  const clock = new FakeClock();
  const store = memoryAskStore();
  const first = await setup(store, clock);
  const waiting = first.desk.ask(A, at("x.test"), never);
  first.desk.decide(first.asked[0]!.id, "approve", { kind: "for", ms: 3_600_000 }, operator);
  assert.equal((await waiting).until, clock.now() + 3_600_000);
  assert.deepEqual(first.rules, [A]);
  first.desk.close();

  await clock.advance(1_800_000);
  const second = await setup(store, clock);
  assert.equal((await second.desk.ask(A, at("x.test"), never)).allowed, true);
  assert.equal((second.desk.rules.of(A))[0]!.host, "x.test");
  await clock.advance(1_800_000);
  assert.deepEqual(second.rules, [A], "told that it ran out");
  assert.deepEqual(second.desk.rules.of(A), []);
  void second.desk.ask(A, at("x.test"), never);
  assert.equal(second.asked.length, 1);
  second.desk.close();

  // Also when it ran out while nobody was there.
  await clock.advance(1);
  const third = await setup(store, clock);
  assert.deepEqual(third.desk.rules.all, []);
  third.desk.close();
});

Deno.test("what was open when the daemon ended is withdrawn; its id answers nothing any more", async () => {
  const clock = new FakeClock();
  const store = memoryAskStore();
  const first = await setup(store, clock);
  const waiting = first.desk.ask(A, at("x.test"), never);
  const { id } = first.asked[0]!;
  first.desk.announced(id, "$event");
  first.desk.close();
  assert.equal((await waiting).allowed, false);

  const second = await setup(store, clock);
  assert.deepEqual(
    second.decided.map(({ id, outcome, event_id }) => [id, outcome, event_id]),
    [[id, "withdrawn", "$event"]],
  );
  assert.equal(second.desk.decide(id, "approve", once, operator), null);
  void second.desk.ask(A, at("x.test"), never);
  assert.equal(second.desk.pending.length, 1);
  assert.notEqual(second.desk.pending[0]!.id, id);
  second.desk.close();
});

Deno.test("a policy that decides now ends the question", async () => {
  const { desk } = await setup();
  const allowed = desk.ask(A, at("x.test"), never);
  const denied = desk.ask(A, at("y.test"), never);
  const open = desk.ask(A, at("z.test"), never);
  desk.reconsider(
    A,
    ({ host }) => host === "x.test" ? "approve" : host === "y.test" ? "deny" : null,
  );
  assert.equal((await allowed).allowed, true);
  assert.equal((await denied).allowed, false);
  assert.deepEqual(desk.pending.map(({ host }) => host), ["z.test"]);
  desk.close();
  await open;
});

Deno.test("who is no longer assigned leaves nothing to a namesake", async () => {
  const { desk, asked, rules } = await setup();
  void desk.ask(A, at("x.test"), never);
  desk.decide(asked[0]!.id, "approve", { kind: "for", ms: 3_600_000 }, operator);
  const waiting = desk.ask(A, at("y.test"), never);
  desk.forget(A);
  assert.equal((await waiting).code, "ask-withdrawn");
  assert.deepEqual([desk.rules.all, rules], [[], [A, A]]);
  void desk.ask(A, at("x.test"), never);
  assert.equal(asked.length, 3);
  desk.close();
});
