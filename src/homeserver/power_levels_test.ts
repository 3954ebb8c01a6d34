// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  checkPowerLevelsChange,
  checkPowerLevelsShape,
  type Content,
  powerLevels,
} from "./power_levels.ts";

const users = ["@a:x", "@b:x", "@c:x"];
const level = fc.integer({ min: -1, max: 101 });
const levels = fc.record({
  users: fc.dictionary(fc.constantFrom(...users), level),
  events: fc.dictionary(fc.constantFrom("m.room.name", "m.room.power_levels", "m.x"), level),
  users_default: level,
  events_default: level,
  state_default: level,
  ban: level,
  kick: level,
  redact: level,
  invite: level,
}, { requiredKeys: [] }) as fc.Arbitrary<Content>;

const allowed = (sender: string, before: Content, after: Content, own: number): boolean => {
  try {
    checkPowerLevelsChange(sender, before, after, own);
    return true;
  } catch {
    return false;
  }
};

Deno.test("checkPowerLevelsChange() lets nobody raise themselves, nor pass their own level on", () => {
  fc.assert(fc.property(levels, levels, fc.constantFrom(...users), (before, after, sender) => {
    const own = powerLevels(before, "@a:x").user(sender);
    if (!allowed(sender, before, after, own)) return;
    const given = (after["users"] ?? {}) as Record<string, number>;
    const had = (before["users"] ?? {}) as Record<string, number>;
    for (const [user, value] of Object.entries(given)) {
      if (value !== had[user]) assert.ok(value <= own, `${user} got ${value}, above ${own}`);
    }
    for (const user of users) {
      if (user !== sender && (had[user] ?? -Infinity) >= own) assert.equal(given[user], had[user]);
    }
  }));
});

Deno.test("checkPowerLevelsChange() allows no change to those who have everything", () => {
  fc.assert(fc.property(levels, (content) => assert.ok(allowed("@a:x", content, content, -5))));
});

Deno.test("checkPowerLevelsShape() refuses what is not an integer", () => {
  for (const bad of ["50", 1.5, null, true, 2 ** 60]) {
    assert.throws(() => checkPowerLevelsShape({ ban: bad }), { code: "M_BAD_JSON" });
    assert.throws(() => checkPowerLevelsShape({ users: { "@a:x": bad } }), { code: "M_BAD_JSON" });
  }
  assert.throws(() => checkPowerLevelsShape({ users: { nobody: 1 } }), { code: "M_BAD_JSON" });
  assert.throws(() => checkPowerLevelsShape({ events: [] }), { code: "M_BAD_JSON" });
});

Deno.test("powerLevels() gives the creator 100 and asks nothing while a room has no levels", () => {
  const none = powerLevels(undefined, "@a:x");
  assert.deepEqual([none.user("@a:x"), none.user("@b:x"), none.event("m.x", true)], [100, 0, 0]);
  const empty = powerLevels({}, "@a:x");
  assert.deepEqual([empty.user("@a:x"), empty.event("m.x", true), empty.event("m.x", false)], [
    0,
    50,
    0,
  ]);
});

Deno.test("powerLevels() does not take inherited properties for levels", () => {
  assert.equal(powerLevels({ users: {}, events: {} }, "").event("constructor", false), 0);
});
