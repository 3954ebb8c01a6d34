// SPDX-License-Identifier: Apache-2.0

/** The change of power levels against the specification's own words (room version 11, rule 9). */
import assert from "node:assert/strict";
import fc from "fast-check";
import { checkPowerLevelsChange, type Content, powerLevels } from "./power_levels.ts";

const PEOPLE = ["@a:x", "@b:x", "@c:x"];
const TYPES = ["m.room.name", "m.room.power_levels", "m.x", "constructor"];
const SCALARS = [
  "users_default",
  "events_default",
  "state_default",
  "ban",
  "redact",
  "kick",
  "invite",
];
const level = fc.integer({ min: -1, max: 4 }).map((n) => n * 25);
const group = (...keys: string[]) => fc.dictionary(fc.constantFrom(...keys), level);
const content = fc.record({
  users: group(...PEOPLE),
  events: group(...TYPES),
  notifications: group("room"),
  ...Object.fromEntries(SCALARS.map((name) => [name, level])),
}, { requiredKeys: [] }) as fc.Arbitrary<Content>;

/** A change of few places: two independent contents differ in so much that all is refused. */
const change = content.chain((before) =>
  fc.tuple(
    fc.constant(before),
    fc.oneof(
      content,
      fc.constant(before),
      fc.record({ users: group(...PEOPLE) }).map((part) => ({ ...before, ...part })),
      fc.record({ events: group(...TYPES) }).map((part) => ({ ...before, ...part })),
      fc.tuple(fc.constantFrom(...SCALARS), level).map(([name, value]) => ({
        ...before,
        [name]: value,
      })),
    ),
  )
);

type Levels = Readonly<Record<string, number>>;
const part = (from: Content, name: string) => (from[name] ?? {}) as Levels;
const own = (from: Levels, key: string) => Object.hasOwn(from, key) ? from[key] : undefined;

function isAllowed(sender: string, before: Content, after: Content): boolean {
  const level = own(part(before, "users"), sender) ??
    (before["users_default"] as number | undefined) ?? 0;
  // Rule 9.5: altered scalars, neither the current nor the new value above the sender's.
  for (const name of SCALARS) {
    const [was, is] = [own(before as Levels, name), own(after as Levels, name)];
    if (was === is) continue;
    if (was !== undefined && was > level) return false;
    if (is !== undefined && is > level) return false;
  }
  for (const name of ["events", "notifications", "users"]) {
    const [old, fresh] = [part(before, name), part(after, name)];
    for (const [key, was] of Object.entries(old)) {
      if (own(fresh, key) === was) continue;
      // 9.6 and 9.8: changed or removed entries.
      if (name === "users" ? key !== sender && was >= level : was > level) return false;
    }
    for (const [key, is] of Object.entries(fresh)) {
      // 9.7 and 9.9: added or changed entries.
      if (own(old, key) !== is && is > level) return false;
    }
  }
  return true;
}

const accepts = (sender: string, before: Content, after: Content): boolean => {
  try {
    const level = powerLevels(before, "@a:x").user(sender);
    checkPowerLevelsChange(sender, before, after, level);
    return true;
  } catch {
    return false;
  }
};

Deno.test("checkPowerLevelsChange() says what the specification says", () => {
  const seen = { allowed: 0, refused: 0 };
  fc.assert(
    fc.property(change, fc.constantFrom(...PEOPLE), ([before, after], sender) => {
      const wanted = isAllowed(sender, before, after);
      seen[wanted ? "allowed" : "refused"]++;
      assert.equal(accepts(sender, before, after), wanted);
    }),
    { numRuns: 5_000 },
  );
  // The control: both answers were asked for often.
  assert.ok(seen.allowed > 200 && seen.refused > 200, JSON.stringify(seen));
});

// The specification lets a user who was put below the default take that entry away, or the default
// itself: they then stand where a newcomer does, and never higher.
Deno.test("nobody rises above their level or a newcomer's by any number of own changes", () => {
  fc.assert(
    fc.property(
      content,
      fc.array(content, { maxLength: 20 }),
      fc.constantFrom(...PEOPLE),
      (start, changes, sender) => {
        let now = start;
        const newcomer = Math.max(0, powerLevels(start, "@a:x").user("@new:x"));
        const highest = Math.max(powerLevels(start, "@a:x").user(sender), newcomer);
        for (const next of changes) {
          const merged = { ...now, ...next };
          if (!accepts(sender, now, merged)) continue;
          now = merged;
          assert.ok(powerLevels(now, "@a:x").user(sender) <= highest);
        }
      },
    ),
    { numRuns: 1_000 },
  );
});
