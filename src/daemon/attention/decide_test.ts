// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import { type Attention, byNeed } from "./api.ts";
import { decide, type Facts, IDLE_AFTER_MS, SAID_HOLDS_MS } from "./decide.ts";
import type { HeardActivity } from "./link.ts";

const NOW = 10_000_000;

const activity = (change: Partial<HeardActivity> = {}): HeardActivity => ({
  type: "activity",
  last_output: NOW - 5_000,
  quiet: true,
  bell: null,
  typed: null,
  title: "",
  last_line: "",
  looks: null,
  ...change,
});

const facts = (change: Partial<Facts> = {}): Facts => ({
  phase: "running",
  phaseSince: NOW - 3_600_000,
  exitCode: null,
  message: null,
  isCrashLoop: false,
  isFrozen: false,
  asks: [],
  calls: [],
  said: null,
  activity: activity(),
  idleAfterMs: IDLE_AFTER_MS,
  ...change,
});

const state = (change: Partial<Facts>, now = NOW) => {
  const { state, reason } = decide(facts(change), now);
  return `${state} ${reason}`;
};
const question = activity({
  looks: { means: "waiting", kind: "generic", line: "Go on? [y/N]", since: NOW - 5_000 },
});

Deno.test("decide() puts what needs a person most first", () => {
  const asks = [{ since: NOW - 9_000, target: "a:443" }];
  const said = { state: "waiting" as const, message: "which?", at: NOW - 1_000 };
  assert.equal(state({ phase: "failed", asks, said, activity: question }), "failed failed");
  assert.equal(state({ phase: "failed", isCrashLoop: true }), "failed crash-loop");
  assert.equal(state({ phase: "backing-off", exitCode: 3 }), "failed failed");
  assert.equal(state({ phase: "exited", exitCode: 1 }), "failed failed");
  assert.equal(state({ phase: "exited", exitCode: 0 }), "idle not-running");
  assert.equal(state({ asks, said, activity: question }), "waiting-approval egress-ask");
  assert.equal(state({ said, activity: question }), "waiting-input said");
  assert.equal(state({ activity: question }), "waiting-input question");
  assert.equal(state({}), "working output");
  assert.equal(state({ activity: null }), "working unheard");
  assert.equal(state({ phase: "starting" }), "working starting");
  assert.equal(state({ isFrozen: true, activity: question }), "idle frozen");
  assert.equal(state({ phase: "stopped", activity: question }), "idle not-running");
  assert.equal(state({ phase: "pending" }), "idle unheard");
});

Deno.test("decide() takes quiet for idle after a while, and says when it will", () => {
  assert.equal(decide(facts(), NOW).until, NOW - 5_000 + IDLE_AFTER_MS);
  assert.equal(state({}, NOW + IDLE_AFTER_MS), "idle quiet");
  assert.equal(state({ idleAfterMs: 5_000 }), "idle quiet");
  // What writes all the time is not idle, however long ago its last frame came.
  assert.equal(
    state({ activity: activity({ quiet: false }) }, NOW + IDLE_AFTER_MS),
    "working output",
  );
  const prompt = { means: "idle" as const, kind: "shell", line: "$", since: NOW - 5_000 };
  assert.equal(state({ activity: activity({ looks: prompt }) }), "idle prompt");
});

Deno.test("decide() hears the bell until something follows it", () => {
  assert.equal(state({ activity: activity({ bell: NOW - 5_000 }) }), "waiting-input bell");
  assert.equal(state({ activity: activity({ bell: NOW - 6_000 }) }), "waiting-input bell");
  assert.equal(state({ activity: activity({ bell: NOW - 9_000 }) }), "working output");
  assert.equal(state({ activity: activity({ bell: NOW, quiet: false }) }), "working output");
});

Deno.test("decide() believes an agent's own word until its terminal shows that it is old", () => {
  const at = NOW - 60_000;
  const said = (state: "working" | "waiting" | "idle") => ({ state, message: null, at });
  const wrote = (ms: number, more: Partial<HeardActivity> = {}) =>
    activity({ last_output: at + ms, ...more });
  // Programs write while they say it.
  assert.equal(state({ said: said("idle"), activity: wrote(SAID_HOLDS_MS - 1) }), "idle said");
  assert.equal(state({ said: said("idle"), activity: wrote(SAID_HOLDS_MS) }), "working output");
  assert.equal(state({ said: said("waiting"), activity: wrote(100) }), "waiting-input said");
  assert.equal(
    state({ said: said("waiting"), activity: wrote(100, { typed: at + 1 }) }),
    "working output",
  );
  assert.equal(
    state({ said: said("working"), activity: { ...question, last_output: at } }),
    "working said",
  );
  // Nobody works for ever without a sign of it.
  const silent = { said: said("working"), activity: wrote(0) };
  assert.equal(decide(facts(silent), NOW).until, at + IDLE_AFTER_MS);
  assert.equal(state(silent, at + IDLE_AFTER_MS), "idle quiet");
  assert.equal(state({ said: said("working"), activity: null }), "working said");
});

Deno.test("decide() tells one question from the next, and counting seconds from neither", () => {
  const of = (line: string) =>
    decide(
      facts({ activity: activity({ looks: { means: "waiting", kind: "x", line, since: 1 } }) }),
      NOW,
    ).what;
  assert.equal(of("Delete a? (12 s)"), of("Delete a? (13 s)"));
  assert.notEqual(of("Delete a?"), of("Delete b?"));
});

Deno.test("byNeed() is an order: failed first, who waits longest before who waits less", () => {
  const of = (principal: string, state?: Attention["state"], since = 0) => ({
    principal,
    ...(state === undefined ? {} : {
      attention: { state, since, reason: "said" as const, message: null, unseen: false },
    }),
  });
  const all = [
    of("a", "idle"),
    of("b"),
    of("c", "waiting-input", 5),
    of("d", "waiting-input", 4),
    of("e", "working", 9),
    of("f", "working", 1),
    of("g", "waiting-approval"),
    of("h", "failed"),
  ];
  const wanted = "hgdcefab";
  assert.equal([...all].sort(byNeed).map(({ principal }) => principal).join(""), wanted);
  fc.assert(
    fc.property(fc.shuffledSubarray(all, { minLength: all.length }), (shuffled) => {
      assert.equal(shuffled.sort(byNeed).map(({ principal }) => principal).join(""), wanted);
    }),
  );
});
