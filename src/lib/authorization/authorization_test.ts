// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Allowance, Denial, Grant } from "../schema/events.ts";
import {
  check,
  checkSelf,
  checkTarget,
  effectiveGrants,
  type EffectivePolicy,
  flattenForProxy,
  nextExpiry,
  noPolicy,
  parseExpiry,
  policyProblems,
} from "./mod.ts";

const NOW = Date.parse("2026-05-01T12:00:00Z");
const ACTOR = "@agent/a:local";
const TARGET = "@agent/b:local";
const policy = (part: Partial<EffectivePolicy>): EffectivePolicy => ({ ...noPolicy, ...part });

Deno.test("checkSelf() names the rule that decided when it answers", () => {
  const grant: Grant = { actions: ["matrix/**"], source: "template" };
  const denial: Denial = { actions: ["matrix/raw-api"], source: "principal" };
  const rules = { grants: [grant], denials: [denial] };
  assert.deepEqual(checkSelf(rules, "matrix/join", NOW), {
    allowed: true,
    reason: "allowed",
    grant,
  });
  assert.deepEqual(checkSelf(rules, "matrix/raw-api", NOW), {
    allowed: false,
    reason: "explicit denial",
    grant,
    denial,
  });
  assert.deepEqual(checkSelf(rules, "observe", NOW), {
    allowed: false,
    reason: "no matching grant",
  });
});

Deno.test("checkSelf() refuses when the grant has run out or its expiry can't be read", () => {
  const at = (expires_at: string) =>
    checkSelf({ grants: [{ actions: ["x"], expires_at }], denials: [] }, "x", NOW);
  assert.equal(at("2026-05-01T12:00:01Z").allowed, true);
  assert.equal(at("2026-05-01T14:00:01+02:00").allowed, true);
  for (
    const past of [
      "2026-05-01T12:00:00Z",
      "2026-05-01T13:00:00+02:00",
      "tomorrow",
      "",
      "9999",
      "2026-06-31T00:00:00Z",
      "2027-02-29T00:00:00Z",
      "2027-01-01",
      "2027-01-01T00:00:00",
    ]
  ) assert.equal(at(past).reason, "matching grant expired", past);
  assert.equal(parseExpiry("2028-02-29T00:00:00Z"), Date.UTC(2028, 1, 29));
});

Deno.test("checkSelf() denies everything when a denial is malformed", () => {
  const rules = { grants: [{ actions: ["**"] }], denials: [{ actions: ["matrix/[ab"] }] };
  assert.equal(checkSelf(rules, "http/x", NOW).reason, "explicit denial");
});

Deno.test("check() asks both sides when there is a target", () => {
  const grant: Grant = { actions: ["observe"], targets: ["agent/**:local"] };
  const allowance: Allowance = { actions: ["observe"], actors: ["agent/*:local"] };
  const ask = (actor: Partial<EffectivePolicy>, target?: Partial<EffectivePolicy>) =>
    check(
      { actor: ACTOR, action: "observe", target: TARGET },
      { actor: policy(actor), ...(target === undefined ? {} : { target: policy(target) }) },
      NOW,
    );
  const both = ask({ grants: [grant] }, { allowances: [allowance] });
  assert.deepEqual(both, { allowed: true, reason: "allowed", grant, allowance });
  assert.equal(ask({}, { allowances: [allowance] }).reason, "no matching grant");
  assert.equal(
    ask({ grants: [{ actions: ["observe"] }] }, { allowances: [allowance] }).reason,
    "no matching grant",
  );
  assert.equal(ask({ grants: [grant] }).reason, "no matching allowance on target");
  assert.equal(ask({ grants: [grant] }, {}).reason, "no matching allowance on target");
  for (const targets of [undefined, [], ["agent/b:local"], ["agent/b"]]) {
    const denial: Denial = targets === undefined
      ? { actions: ["observe"] }
      : { actions: ["observe"], targets };
    const decision = ask({ grants: [grant], denials: [denial] }, { allowances: [allowance] });
    assert.equal(decision.reason, "explicit denial", String(targets));
    assert.equal(decision.denial, denial);
  }
  const elsewhere: Denial = { actions: ["observe"], targets: ["agent/c:local"] };
  assert.equal(
    ask({ grants: [grant], denials: [elsewhere] }, { allowances: [allowance] }).allowed,
    true,
  );
  for (const actors of [["agent/a:local"], ["no-server"]]) {
    const refusal: Allowance = { actions: ["observe"], actors };
    const decision = ask({ grants: [grant] }, {
      allowances: [allowance],
      allowance_denials: [refusal],
    });
    assert.equal(decision.reason, "explicit allowance denial on target");
    assert.equal(decision.allowanceDenial, refusal);
  }
});

Deno.test("checkTarget() decides by the target and the actor's denials when nothing is granted", () => {
  const target = policy({ allowances: [{ actions: ["observe"], actors: ["**:local"] }] });
  const question = { actor: ACTOR, action: "observe", target: TARGET };
  assert.equal(checkTarget(question, target, NOW).allowed, true);
  assert.equal(
    checkTarget({ ...question, action: "observe/read-write" }, target, NOW).allowed,
    false,
  );
  assert.equal(
    checkTarget(question, target, NOW, [{ actions: ["observe/**"] }]).reason,
    "explicit denial",
  );
  assert.equal(checkTarget({ ...question, actor: "@agent/a:evil" }, target, NOW).allowed, false);
  assert.equal(checkTarget(question, undefined, NOW).allowed, false);
});

Deno.test("every kind of rule ends when it says so; a refusal whose end can't be read does not", () => {
  const past = "2026-05-01T11:59:59Z";
  const later = "2026-05-01T12:00:01Z";
  const question = { actor: ACTOR, action: "observe", target: TARGET };
  const allow = { actions: ["observe"], actors: ["**:local"] };
  const refuse = (end: Partial<Denial>) =>
    checkSelf({ grants: [{ actions: ["a"] }], denials: [{ actions: ["a"], ...end }] }, "a", NOW);
  assert.equal(refuse({}).allowed, false);
  assert.equal(refuse({ expires_at: later }).allowed, false);
  assert.equal(refuse({ expires_at: past }).allowed, true);
  assert.equal(refuse({ expires_at: "tomorrow" }).allowed, false);
  const watch = (change: Partial<EffectivePolicy>, denials: Denial[] = []) =>
    checkTarget(question, policy({ allowances: [allow], ...change }), NOW, denials).allowed;
  assert.equal(watch({}), true);
  assert.equal(watch({ allowances: [{ ...allow, expires_at: later }] }), true);
  assert.equal(watch({ allowances: [{ ...allow, expires_at: past }] }), false);
  assert.equal(watch({ allowances: [{ ...allow, expires_at: "tomorrow" }] }), false);
  assert.equal(watch({ allowance_denials: [{ ...allow, expires_at: later }] }), false);
  assert.equal(watch({ allowance_denials: [{ ...allow, expires_at: past }] }), true);
  assert.equal(watch({ allowance_denials: [{ ...allow, expires_at: "tomorrow" }] }), false);
  assert.equal(watch({}, [{ actions: ["observe"], expires_at: later }]), false);
  assert.equal(watch({}, [{ actions: ["observe"], expires_at: past }]), true);
});

Deno.test("effectiveGrants() stamps where a rule comes from when an event claims another", () => {
  const lie: Grant = { actions: ["a"], source: "machine-default" };
  const merged = effectiveGrants({
    defaultPolicy: { grants: [{ actions: ["d"] }] },
    template: { denials: [{ actions: ["t"], source: "x" }] },
    assignment: { grants: [lie], allowances: [{ actions: ["o"], actors: ["**:s"] }] },
    rooms: [{ room: "!r:s", policy: { grants: [{ actions: ["r"] }] } }],
    temporal: [
      { actions: ["ok"], expires_at: "2026-05-01T13:00:00Z", ticket: "t-1" },
      { actions: ["no ticket"], expires_at: "2026-05-01T13:00:00Z" },
      { actions: ["for ever"], ticket: "t-2" },
    ],
  });
  assert.deepEqual(
    merged.grants.map((grant) => [grant.actions[0], grant.source]),
    [["d", "machine-default"], ["a", "principal"], ["r", "room:!r:s"], ["ok", "temporal"]],
  );
  assert.equal(merged.denials[0]!.source, "template");
  assert.equal(merged.allowances[0]!.source, "principal");
  assert.equal(lie.source, "machine-default");
  assert.equal(nextExpiry(merged, NOW), Date.parse("2026-05-01T13:00:00Z"));
  assert.equal(nextExpiry(merged, NOW + 3_600_000), null);
  assert.equal(flattenForProxy(merged, NOW + 3_600_000).grants.length, 3);
  assert.deepEqual(flattenForProxy(merged, NOW).denials, merged.denials);
});

Deno.test("policyProblems() finds each malformed pattern when a policy is published", () => {
  assert.deepEqual(policyProblems({ grants: [{ actions: ["a/**"], targets: ["**:s"] }] }), []);
  const problems = policyProblems({
    grants: [{ actions: [] }, { actions: ["a"], targets: ["x"], expires_at: "soon" }],
    denials: [{ actions: ["a**"] }],
    allowances: [{ actions: ["a"], actors: ["x"] }],
  });
  assert.equal(problems.length, 5, problems.join("\n"));
});

const pattern = fc.constantFrom("**", "a", "a/*", "a/**", "b", "**/c", "[", "a**", "", "?");
const user = fc.constantFrom(
  "**:local",
  "agent/*:local",
  "agent/b:local",
  "x",
  "**:evil",
  ":",
  "**",
);
const action = fc.constantFrom("a", "a/b", "a/b/c", "b", "z");
const actions = fc.array(pattern, { maxLength: 3 });
const grant: fc.Arbitrary<Grant> = fc.record({
  actions,
  targets: fc.array(user, { maxLength: 2 }),
  expires_at: fc.constantFrom("2026-05-01T11:00:00Z", "2026-05-01T13:00:00Z", "bad"),
}, { requiredKeys: ["actions"] });
const expires_at = fc.constantFrom("2026-05-01T11:00:00Z", "2026-05-01T13:00:00Z", "bad");
const denial: fc.Arbitrary<Denial> = fc.record(
  { actions, targets: fc.array(user, { maxLength: 2 }), expires_at },
  { requiredKeys: ["actions"] },
);
const allowance: fc.Arbitrary<Allowance> = fc.record({
  actions,
  actors: fc.array(user, { maxLength: 2 }),
  expires_at,
}, { requiredKeys: ["actions", "actors"] });
const some = <T>(item: fc.Arbitrary<T>) => fc.array(item, { maxLength: 4 });
const effective: fc.Arbitrary<EffectivePolicy> = fc.record({
  grants: some(grant),
  denials: some(denial),
  allowances: some(allowance),
  allowance_denials: some(allowance),
});

const decide = (actor: EffectivePolicy, target: EffectivePolicy, act: string) =>
  check({ actor: ACTOR, action: act, target: TARGET }, { actor, target }, NOW).allowed;

Deno.test("check() never allows more when a permission is taken away or a refusal is added", () => {
  fc.assert(
    fc.property(
      effective,
      effective,
      action,
      denial,
      allowance,
      fc.nat(),
      (a, t, act, d, ad, n) => {
        const without = <T>(list: T[]) => list.filter((_, i) => i !== n % Math.max(1, list.length));
        const lesser: [EffectivePolicy, EffectivePolicy][] = [
          [{ ...a, grants: without(a.grants) }, t],
          [a, { ...t, allowances: without(t.allowances) }],
          [{ ...a, denials: [...a.denials, d] }, t],
          [a, { ...t, allowance_denials: [...t.allowance_denials, ad] }],
        ];
        for (const [actor, target] of lesser) {
          if (decide(actor, target, act)) assert.equal(decide(a, t, act), true);
        }
        const self = (p: EffectivePolicy) => checkSelf(p, act, NOW).allowed;
        if (self(lesser[0]![0]) || self(lesser[2]![0])) assert.equal(self(a), true);
      },
    ),
    { numRuns: 2000 },
  );
});

Deno.test("check() refuses when a denial of everything is present", () => {
  fc.assert(fc.property(effective, effective, action, (a, t, act) => {
    const denied = { ...a, denials: [...a.denials, { actions: ["**"] }] };
    assert.equal(decide(denied, t, act), false);
    assert.equal(checkSelf(denied, act, NOW).allowed, false);
  }));
});

Deno.test("check() never allows when every permitting pattern is malformed", () => {
  const broken = fc.array(fc.constantFrom("[", "a**", "", "a//b", "**/a/**"));
  fc.assert(fc.property(broken, action, (patterns, act) => {
    assert.equal(
      checkSelf({ grants: [{ actions: patterns }], denials: [] }, act, NOW).allowed,
      false,
    );
  }));
});
