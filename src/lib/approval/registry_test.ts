// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import { FakeClock } from "../../daemon/asks/fake_clock_test.ts";
import {
  type Answer,
  type Approval,
  APPROVAL_TIMEOUT_MS,
  ApprovalRegistry,
  type ApprovalRequest,
  type ApprovalStore,
  GRACE_MS,
  MAX_OPEN,
} from "./mod.ts";

const ANN = { by: "@ann:s", via: "reaction" } as const;
const BOB = { by: "@bob:s", via: "cli" } as const;
let keys = 0;
const call = (change: Partial<ApprovalRequest> = {}): ApprovalRequest => ({
  key: `key-of-a-call-${1000 + keys++}`,
  tool: "Bash",
  permission: "execute-command",
  resource: "make install",
  ...change,
});

class Memory implements ApprovalStore {
  kept: string;
  constructor(kept = "[]") {
    this.kept = kept;
  }
  load = () => Promise.resolve(JSON.parse(this.kept) as Approval[]);
  save = (all: readonly Approval[]) => {
    this.kept = JSON.stringify(all);
    return Promise.resolve();
  };
}

async function life(store = new Memory(), clock = new FakeClock()) {
  const answers: [string, Answer][] = [];
  const opened: Approval[] = [];
  const ended: Approval[] = [];
  const registry = new ApprovalRegistry({
    ...{ clock, store },
    onOpen: (approval) => opened.push(approval),
    onAnswer: ({ key }, answer) => answers.push([key, answer]),
    onEnd: (approval) => ended.push(approval),
  });
  await registry.load();
  const approvedOf = (key: string) =>
    answers.filter(([one]) => one === key).map(([, { approved }]) => approved);
  return { registry, clock, store, answers, approvedOf, opened, ended };
}

/** The one before was killed: it writes nothing any more. */
const next = ({ store, clock }: { store: Memory; clock: FakeClock }) =>
  life(new Memory(store.kept), clock);

Deno.test("a question is decided by whoever is first, handed over, and used up", async () => {
  const { registry, approvedOf, opened, ended } = await life();
  const asked = call();
  assert.equal(registry.ask("a", asked), null);
  const { id } = opened[0]!;
  assert.match(id, /^[2-9a-hjkmnp-z]{16}$/);
  const results = await Promise.all([
    registry.decide(id, "approve", ANN),
    registry.decide(id, "deny", BOB),
    registry.decide("nosuch", "approve", BOB),
  ]);
  assert.deepEqual(results.map((one) => one?.by ?? null), ["@ann:s", null, null]);
  assert.deepEqual(approvedOf(asked.key), [true]);
  // Its answer was lost on the way: it is handed over again, until the asker has it.
  assert.equal(registry.ask("a", asked), null);
  assert.deepEqual(approvedOf(asked.key), [true, true]);
  registry.delivered("a", asked.key);
  assert.deepEqual(ended.map(({ state, verdict }) => [state, verdict]), [["delivered", "approve"]]);
  // Replayed: by the asker, under another's name, for another call.
  assert.equal(registry.ask("a", asked)?.approved, false);
  assert.equal(await registry.decide(id, "approve", BOB), null);
  assert.equal(registry.ask("b", asked), null, "another's key is another question");
  const changed = { ...opened[1]!, resource: "rm -rf /" };
  assert.match(registry.ask("b", changed)!.why, /another question/);
  await registry.close();
});

Deno.test("nobody answers within 300 s: denied, and a late answer counts for nothing", async () => {
  const { registry, clock, approvedOf, opened, ended } = await life();
  const asked = call();
  registry.ask("a", asked);
  await clock.advance(APPROVAL_TIMEOUT_MS - 1);
  assert.equal(registry.pending.length, 1);
  await clock.advance(1);
  assert.deepEqual(approvedOf(asked.key), [false]);
  assert.equal(ended[0]!.state, "expired");
  assert.equal(await registry.decide(opened[0]!.id, "approve", ANN), null);
  assert.equal(registry.ask("a", asked)?.approved, false);
  await registry.close();
});

Deno.test("what was open is open after a kill, for askers that come back", async () => {
  const first = await life();
  const [back, gone, decided] = [call(), call(), call()];
  for (const one of [back, gone, decided]) first.registry.ask("a", one);
  await first.registry.decide(first.opened[2]!.id, "approve", ANN);
  first.registry.announced(first.opened[0]!.id, "$told");
  // No close(): it was killed.
  const second = await next(first);
  assert.deepEqual(second.registry.pending.map(({ key }) => key), [back.key, gone.key]);
  assert.equal(second.registry.ask("a", back), null);
  assert.equal(second.registry.ask("a", decided), null);
  assert.deepEqual(second.approvedOf(decided.key), [true], "told again");
  // Of the other nobody had been told yet.
  assert.deepEqual(second.opened.map(({ key }) => key), [gone.key]);
  await second.clock.advance(GRACE_MS);
  assert.deepEqual(second.ended.map(({ key, state }) => [key, state]), [[gone.key, "failed"]]);
  assert.deepEqual(second.approvedOf(gone.key), [false]);
  await second.registry.decide(second.registry.pending[0]!.id, "deny", BOB);
  assert.deepEqual(second.approvedOf(back.key), [false]);
  // Approved, and its asker is never heard of again: void.
  second.registry.unheard("a");
  await second.clock.advance(GRACE_MS);
  assert.equal(second.registry.ask("a", decided)?.approved, false);
  const third = await next(second);
  assert.deepEqual(third.registry.pending, []);
  assert.equal(third.registry.ask("a", decided)?.approved, false);
});

Deno.test("one asker has few open questions, and no endless supply; others are not concerned", async () => {
  const { registry, clock, opened } = await life();
  for (let n = 0; n < MAX_OPEN; n++) assert.equal(registry.ask("a", call()), null);
  assert.equal(registry.ask("a", call())?.approved, false);
  assert.equal(registry.ask("b", call()), null);
  let asked = MAX_OPEN;
  for (let n = 0; n < 100; n++) {
    for (const { asker, key } of registry.pending) if (asker === "a") registry.left(asker, key);
    if (registry.ask("a", call()) === null) asked++;
  }
  assert.equal(asked, 32);
  await clock.advance(10_000);
  assert.equal(registry.ask("a", call()), null);
  registry.forget("b");
  assert.equal(opened.filter(({ asker }) => asker === "b").length, 1);
  await registry.close();
});

Deno.test("however deciders, time, kills and the asker run against each other, an approval is handed over for one call only", async () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant("ask" as const), n: fc.nat(1) }),
    fc.record({ do: fc.constantFrom("approve" as const, "deny" as const), n: fc.nat(1) }),
    fc.record({ do: fc.constantFrom("take" as const, "leave" as const), n: fc.nat(1) }),
    fc.record({ do: fc.constantFrom("kill" as const, "wait" as const), n: fc.nat(1) }),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 12, maxLength: 40, size: "max" }),
      async (steps) => {
        const calls = [call(), call()];
        const verdicts = new Map<string, Set<string>>();
        const used = new Set<string>();
        let now = await life();
        for (const one of steps) {
          const asked = calls[one.n]!;
          const pending = now.registry.pending.find(({ key }) => key === asked.key);
          const before = now.answers.length;
          if (one.do === "ask") {
            const answer = now.registry.ask("a", asked);
            if (answer !== null) {
              assert.equal(answer.approved, false, "at once there are only denials");
            }
          } else if (one.do === "approve" || one.do === "deny") {
            const both = await Promise.all([
              now.registry.decide(pending?.id ?? "none", one.do, ANN),
              now.registry.decide(pending?.id ?? "none", "approve", BOB),
            ]);
            assert.equal(
              both.filter((each) => each !== null).length,
              pending === undefined ? 0 : 1,
            );
            if (pending !== undefined) {
              const all = verdicts.get(pending.id) ?? new Set();
              verdicts.set(pending.id, all.add(one.do));
              assert.equal(all.size, 1, "decided once");
            }
          } else if (one.do === "take") {
            now.registry.delivered("a", asked.key);
            if (now.ended.at(-1)?.key === asked.key) used.add(asked.key);
          } else if (one.do === "leave") now.registry.left("a", asked.key);
          else if (one.do === "wait") await now.clock.advance((one.n + 1) * 100_000);
          else now = await next(now);
          for (
            const [key, { approved }] of now.answers.slice(Math.min(before, now.answers.length))
          ) {
            if (approved) assert.ok(!used.has(key), "handed over again after it was used");
          }
        }
      },
    ),
    { numRuns: 500 },
  );
});
