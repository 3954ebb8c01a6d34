// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { LISTS, withoutRules, withRule } from "./grant.ts";

const NOW = Date.parse("2026-05-01T12:00:00Z");
const past = { actions: ["old"], expires_at: "2026-05-01T11:00:00Z", ticket: "p" };
const kept = { actions: ["a", "b"], ticket: "k" };
const denials = [{ actions: ["z"] }];

Deno.test("withRule() adds, and drops what ran out; denials stay", () => {
  const made = { actions: ["c"], ticket: "n" };
  assert.deepEqual(withRule({ grants: [past, kept], denials }, "grants", made, NOW), {
    grants: [kept, made],
    denials,
  });
  assert.deepEqual(withRule(undefined, "grants", made, NOW), { grants: [made] });
});

Deno.test("withoutRules() takes out actions as they were granted, or what carries the ticket", () => {
  const before = { grants: [kept, { actions: ["a"], ticket: "o" }], denials };
  assert.deepEqual(
    withoutRules(before, { lists: ["grants"], actions: ["a"], ticket: undefined }, NOW),
    {
      policy: { denials, grants: [{ actions: ["b"], ticket: "k" }] },
      revoked: 2,
    },
  );
  assert.deepEqual(withoutRules(before, { lists: ["grants"], actions: ["a"], ticket: "o" }, NOW), {
    policy: { denials, grants: [kept] },
    revoked: 1,
  });
  assert.deepEqual(
    withoutRules(before, { lists: ["grants"], actions: [], ticket: "k" }, NOW).revoked,
    1,
  );
  assert.equal(
    withoutRules(before, { lists: ["grants"], actions: ["**"], ticket: undefined }, NOW).revoked,
    0,
  );
  assert.deepEqual(
    withoutRules({ grants: [kept] }, { lists: ["grants"], actions: [], ticket: "k" }, NOW),
    {
      policy: undefined,
      revoked: 1,
    },
  );
});

Deno.test("refusals whose end can't be read stay, and a ticket finds a rule of any kind", () => {
  const odd = { actions: ["x"], expires_at: "tomorrow", ticket: "o" };
  const gone = { actions: ["y"], expires_at: "2026-05-01T11:00:00Z", ticket: "g" };
  const made = { actions: ["c"], actors: ["**:s"], ticket: "n" };
  const before = { denials: [odd, gone], grants: [kept] };
  assert.deepEqual(withRule(before, "denials", made, NOW).denials, [odd, made]);
  assert.deepEqual(withRule({}, "allowance_denials", made, NOW), { allowance_denials: [made] });
  const all = { grants: [kept], denials: [odd], allowances: [made] };
  assert.deepEqual(withoutRules(all, { lists: LISTS, actions: [], ticket: "n" }, NOW), {
    policy: { grants: [kept], denials: [odd] },
    revoked: 1,
  });
  assert.equal(
    withoutRules(all, { lists: ["denials"], actions: ["x"], ticket: undefined }, NOW).revoked,
    1,
  );
});
