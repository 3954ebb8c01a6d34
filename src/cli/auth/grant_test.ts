// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { withGrant, withoutGrants } from "./grant.ts";

const NOW = Date.parse("2026-05-01T12:00:00Z");
const past = { actions: ["old"], expires_at: "2026-05-01T11:00:00Z", ticket: "p" };
const kept = { actions: ["a", "b"], ticket: "k" };
const denials = [{ actions: ["z"] }];

Deno.test("withGrant() adds, and drops what ran out; denials stay", () => {
  const made = { actions: ["c"], ticket: "n" };
  assert.deepEqual(withGrant({ grants: [past, kept], denials }, made, NOW), {
    grants: [kept, made],
    denials,
  });
  assert.deepEqual(withGrant(undefined, made, NOW), { grants: [made] });
});

Deno.test("withoutGrants() takes out actions as they were granted, or what carries the ticket", () => {
  const before = { grants: [kept, { actions: ["a"], ticket: "o" }], denials };
  assert.deepEqual(withoutGrants(before, { actions: ["a"], ticket: undefined }, NOW), {
    policy: { denials, grants: [{ actions: ["b"], ticket: "k" }] },
    revoked: 2,
  });
  assert.deepEqual(withoutGrants(before, { actions: ["a"], ticket: "o" }, NOW), {
    policy: { denials, grants: [kept] },
    revoked: 1,
  });
  assert.deepEqual(withoutGrants(before, { actions: [], ticket: "k" }, NOW).revoked, 1);
  assert.equal(withoutGrants(before, { actions: ["**"], ticket: undefined }, NOW).revoked, 0);
  assert.deepEqual(withoutGrants({ grants: [kept] }, { actions: [], ticket: "k" }, NOW), {
    policy: undefined,
    revoked: 1,
  });
});
