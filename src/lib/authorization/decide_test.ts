// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import { matchGlob } from "../glob/mod.ts";
import type { AuthorizationPolicy } from "../schema/events.ts";
import {
  decide,
  effectiveGrants,
  flattenForProxy,
  isCurrent,
  noPolicy,
  operatorPolicy,
  type Party,
  type PolicySources,
} from "./mod.ts";

const NOW = Date.parse("2026-05-01T12:00:00Z");
const OPERATOR = "@operator:local";
const AGENT = "@agent/a:local";

const operator = (more: PolicySources = {}): Party => ({
  userId: OPERATOR,
  kind: "operator",
  policy: effectiveGrants({ ...more, operator: operatorPolicy }),
});
const party = (
  kind: Party["kind"],
  userId: string,
  policy: AuthorizationPolicy = {},
): Party => ({ userId, kind, policy: effectiveGrants({ assignment: policy }) });

Deno.test("decide() lets an operator do everything, by rules that it names", () => {
  const target = party("principal", AGENT);
  const decision = decide(operator(), "interrupt/terminate", target, NOW);
  assert.equal(decision.allowed, true);
  assert.equal(decision.grant?.source, "operator");
  assert.equal(decision.allowance?.source, "operator");
  assert.equal(decide(operator(), "matrix/read", undefined, NOW).allowed, true);
});

Deno.test("decide() holds an operator to denials, its own and the target's", () => {
  const room = "!config:local";
  const denied = operator({
    rooms: [{ room, policy: { denials: [{ actions: ["observe/**"] }] } }],
  });
  const own = decide(denied, "observe/read-write", party("principal", AGENT), NOW);
  assert.deepEqual([own.allowed, own.reason, own.denial?.source], [
    false,
    "explicit denial",
    `room:${room}`,
  ]);
  const refuses = party("principal", AGENT, {
    allowance_denials: [{ actions: ["interrupt"], actors: ["operator:local"] }],
  });
  const its = decide(operator(), "interrupt", refuses, NOW);
  assert.equal(its.reason, "explicit allowance denial on target");
  assert.equal(decide(operator(), "observe", refuses, NOW).allowed, true);
});

Deno.test("decide() asks of people the target's allowance, to watch and for nothing else", () => {
  const target = party("principal", AGENT, {
    allowances: [{ actions: ["**"], actors: ["guest:local"] }],
  });
  const guest = party("person", "@guest:local");
  assert.equal(decide(guest, "observe", target, NOW).allowed, true);
  assert.equal(decide(guest, "interrupt", target, NOW).reason, "no matching grant");
  const other = party("person", "@other:local");
  assert.equal(decide(other, "observe", target, NOW).reason, "no matching allowance on target");
});

Deno.test("decide() lets a principal with every grant do nothing to the machine", () => {
  const all = party("principal", AGENT, { grants: [{ actions: ["**"], targets: ["**:**"] }] });
  const machine = party("machine", "@machine/one:local");
  assert.equal(decide(all, "grant/approve/forward", machine, NOW).allowed, false);
  // Control: an operator may.
  assert.equal(decide(operator(), "grant/approve/forward", machine, NOW).allowed, true);
});

const action = fc.constantFrom("a", "a/b", "a/b/c", "b", "z");
const sound = fc.constantFrom("a", "a/*", "a/**", "**", "b", "*");
const pattern = fc.oneof(sound, fc.constantFrom("[", "a**", "", "a//b"));
const actions = fc.array(pattern, { maxLength: 3 });
const grant = fc.record({
  actions,
  expires_at: fc.constantFrom("2026-05-01T11:00:00Z", "2026-05-01T13:00:00Z", "bad"),
  ticket: fc.constant("t"),
}, { requiredKeys: ["actions"] });
const policy: fc.Arbitrary<AuthorizationPolicy> = fc.record({
  grants: fc.array(grant, { maxLength: 3 }),
  denials: fc.array(fc.record({ actions }), { maxLength: 1 }),
}, { requiredKeys: [] });
const sources = fc.record({
  defaultPolicy: policy,
  template: policy,
  assignment: policy,
  egress: policy,
  rooms: fc.array(fc.record({ room: fc.constant("!r:local"), policy }), { maxLength: 2 }),
  temporal: fc.array(grant, { maxLength: 2 }),
}, { requiredKeys: [] });

Deno.test("no combination of sources gives more than the union of their grants minus their denials", () => {
  fc.assert(
    fc.property(sources, action, (from, act) => {
      const policies = [
        from.defaultPolicy,
        from.template,
        from.assignment,
        from.egress,
        ...(from.rooms ?? []).map((one) => one.policy),
      ];
      const grants = [...policies.flatMap((one) => one?.grants ?? []), ...(from.temporal ?? [])];
      const denials = policies.flatMap((one) => one?.denials ?? []);
      // Written apart from the code: a malformed pattern matches no action, an expired grant is none.
      const granted = grants.some((one) =>
        one.actions.some((text) => matchGlob(text, act)) && isCurrent(one.expires_at, NOW)
      );
      const denied = denials.some((one) => one.actions.some((text) => matchGlob(text, act)));
      const merged = effectiveGrants(from as PolicySources);
      const self: Party = { userId: AGENT, kind: "principal", policy: merged };
      const { allowed } = decide(self, act, undefined, NOW);
      if (allowed) assert.ok(granted && !denied);
      // What a proxy is given decides the same.
      const flat = { ...noPolicy, ...flattenForProxy(merged, NOW) };
      assert.equal(decide({ ...self, policy: flat }, act, undefined, NOW).allowed, allowed);
      // Once every time has passed, no temporary grant is left.
      const later = Date.parse("2027-01-01T00:00:00Z");
      const lasting = grants.some((one) =>
        one.expires_at === undefined && one.actions.some((text) => matchGlob(text, act))
      );
      if (decide(self, act, undefined, later).allowed) assert.ok(lasting);
    }),
    { numRuns: 3000 },
  );
});
