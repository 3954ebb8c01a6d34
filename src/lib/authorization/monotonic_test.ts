// SPDX-License-Identifier: Apache-2.0

/** Laws of policies merged from many sources: a refusal never adds a right, wherever it stands. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { AuthorizationPolicy, Denial, Grant } from "../schema/events.ts";
import { check, checkSelf, effectiveGrants, flattenForProxy, type PolicySources } from "./mod.ts";

const NOW = Date.parse("2026-05-01T12:00:00Z");
const ACTOR = "@agent/a:local";
const TARGET = "@agent/b:local";

const pattern = fc.constantFrom("**", "a", "a/*", "a/**", "b", "**/c", "[", "a**", "", "?");
const user = fc.constantFrom("**:local", "agent/*:local", "agent/b:local", "x", "**:evil", "**");
const action = fc.constantFrom("a", "a/b", "a/b/c", "b", "z");
const actions = fc.array(pattern, { maxLength: 3 });
const end = fc.constantFrom("2026-05-01T11:00:00Z", "2026-05-01T13:00:00Z", "tomorrow");
const users = fc.array(user, { maxLength: 2 });
const rule = fc.record({ actions, targets: users, expires_at: end }, { requiredKeys: ["actions"] });
const allowance = fc.record({ actions, actors: users, expires_at: end }, {
  requiredKeys: ["actions", "actors"],
});
const some = <T>(item: fc.Arbitrary<T>) => fc.array(item, { maxLength: 3 });
const policy: fc.Arbitrary<AuthorizationPolicy> = fc.record({
  grants: some(rule as fc.Arbitrary<Grant>),
  denials: some(rule as fc.Arbitrary<Denial>),
  allowances: some(allowance),
  allowance_denials: some(allowance),
}, { requiredKeys: [] });
const temporal = fc.record(
  { actions, expires_at: end, ticket: fc.constant("t") },
  { requiredKeys: ["actions"] },
);
const sources: fc.Arbitrary<PolicySources> = fc.record({
  defaultPolicy: policy,
  template: policy,
  assignment: policy,
  egress: policy,
  rooms: some(fc.record({ room: fc.constantFrom("!a:local", "!b:local"), policy })),
  temporal: some(temporal as fc.Arbitrary<Grant>),
}, { requiredKeys: [] });

const PLACES = ["defaultPolicy", "template", "assignment", "egress"] as const;
/** The same with one more policy in one of the places. */
function joined(
  from: PolicySources,
  place: typeof PLACES[number] | "rooms",
  more: AuthorizationPolicy,
): PolicySources {
  if (place === "rooms") {
    return { ...from, rooms: [...from.rooms ?? [], { room: "!c:local", policy: more }] };
  }
  const own = from[place] ?? {};
  return {
    ...from,
    [place]: {
      grants: [...own.grants ?? [], ...more.grants ?? []],
      denials: [...own.denials ?? [], ...more.denials ?? []],
      allowances: [...own.allowances ?? [], ...more.allowances ?? []],
      allowance_denials: [...own.allowance_denials ?? [], ...more.allowance_denials ?? []],
    },
  };
}

const decisions = (actor: PolicySources, target: PolicySources, act: string) => {
  const own = effectiveGrants(actor);
  const other = effectiveGrants(target);
  return {
    self: checkSelf(own, act, NOW).allowed,
    proxy: checkSelf(flattenForProxy(own, NOW), act, NOW).allowed,
    other: check({ actor: ACTOR, action: act, target: TARGET }, { actor: own, target: other }, NOW)
      .allowed,
  };
};
const place = fc.constantFrom(...PLACES, "rooms" as const);

Deno.test("a refusal in any source never adds a right, and a right never takes one away", () => {
  fc.assert(
    fc.property(sources, sources, place, policy, action, (a, t, where, more, act) => {
      const refusals = {
        ...(more.denials === undefined ? {} : { denials: more.denials }),
        ...(more.allowance_denials === undefined
          ? {}
          : { allowance_denials: more.allowance_denials }),
      };
      const rights = {
        ...(more.grants === undefined ? {} : { grants: more.grants }),
        ...(more.allowances === undefined ? {} : { allowances: more.allowances }),
      };
      const before = decisions(a, t, act);
      const refused = decisions(joined(a, where, refusals), joined(t, where, refusals), act);
      const granted = decisions(joined(a, where, rights), joined(t, where, rights), act);
      for (const way of ["self", "proxy", "other"] as const) {
        if (refused[way]) assert.ok(before[way], `${way}: a refusal added ${act}`);
        if (before[way]) assert.ok(granted[way], `${way}: a right took ${act} away`);
      }
    }),
    { numRuns: 1000 },
  );
});

Deno.test("what a proxy is given decides as the whole does, now and later", () => {
  const hours = fc.integer({ min: 0, max: 3 });
  fc.assert(
    fc.property(sources, action, hours, (from, act, later) => {
      const whole = effectiveGrants(from);
      const given = flattenForProxy(whole, NOW);
      const at = NOW + later * 3_600_000;
      assert.equal(checkSelf(given, act, at).allowed, checkSelf(whole, act, at).allowed);
    }),
    { numRuns: 2000 },
  );
});

Deno.test("the order of sources and of their rules changes no decision", () => {
  const turned = (one: AuthorizationPolicy | undefined): AuthorizationPolicy => ({
    grants: [...one?.grants ?? []].reverse(),
    denials: [...one?.denials ?? []].reverse(),
    allowances: [...one?.allowances ?? []].reverse(),
    allowance_denials: [...one?.allowance_denials ?? []].reverse(),
  });
  fc.assert(
    fc.property(sources, sources, action, (a, t, act) => {
      // Each policy in another's place: where a rule stands is for people.
      const shuffled = (
        { template, assignment, defaultPolicy, egress, rooms, ...rest }: typeof a,
      ) => ({
        ...rest,
        template: turned(egress),
        assignment: turned(defaultPolicy),
        defaultPolicy: turned(assignment),
        egress: turned(template),
        rooms: [...rooms ?? []].reverse().map(({ room, policy }) => ({
          room,
          policy: turned(policy),
        })),
      });
      assert.deepEqual(decisions(shuffled(a), shuffled(t), act), decisions(a, t, act));
    }),
    { numRuns: 2000 },
  );
});

Deno.test("a grant for a while without an end, or without a ticket, gives nothing", () => {
  fc.assert(fc.property(sources, action, (from, act) => {
    const loose = [{ actions: ["**"] }, { actions: ["**"], ticket: "t" }, {
      actions: ["**"],
      expires_at: "2999-01-01T00:00:00Z",
    }];
    const more = { ...from, temporal: [...from.temporal ?? [], ...loose] };
    assert.deepEqual(decisions(more, {}, act), decisions(from, {}, act));
  }));
});
