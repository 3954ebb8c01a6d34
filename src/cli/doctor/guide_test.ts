// SPDX-License-Identifier: Apache-2.0

/** Whatever the doctor finds leads to a part of the guide that is there. */
import assert from "node:assert/strict";
import type { Invocation } from "../framework/command.ts";
import { checksOf } from "./doctor.ts";
import { GUIDE } from "./show.ts";

const ROOT = new URL("../../../", import.meta.url).pathname;

Deno.test("each check names a part of the guide, which names what the check finds", async () => {
  const call = { stateDir: "/nowhere", runDir: "/nowhere", flags: {} } as unknown as Invocation;
  const checks = checksOf(call, { tried: [], facts: new Map(), mended: [] });
  const text = await Deno.readTextFile(`${ROOT}${GUIDE}`);
  const parts = new Map(
    text.split(/^### /m).slice(1).map((part) => {
      const heading = part.slice(0, part.indexOf("\n"));
      return [heading.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-"), part];
    }),
  );
  // Names of checks that only stand for what they find.
  const several = new Set(["machine", "resources", "units", "storage", "socket"]);
  for (const { name, guide } of checks) {
    const part = parts.get(guide);
    assert.ok(part !== undefined, `${name}: ${GUIDE} has no "${guide}"`);
    if (!several.has(name)) assert.match(part, new RegExp(`\`${name}[\`.*]`), name);
  }
  // And no part that nothing leads to.
  assert.deepEqual(
    [...parts.keys()].filter((anchor) => !checks.some(({ guide }) => guide === anchor)),
    [],
  );
});

Deno.test("what checks stand on are checks, and none stands on itself", () => {
  const call = { stateDir: "/nowhere", runDir: "/nowhere", flags: {} } as unknown as Invocation;
  const checks = checksOf(call, { tried: [], facts: new Map(), mended: [] });
  const by = new Map(checks.map((check) => [check.name, check]));
  assert.equal(by.size, checks.length, "two checks of one name");
  const visit = (name: string, above: readonly string[]): void => {
    assert.ok(!above.includes(name), `${name} stands on itself: ${above.join(" < ")}`);
    const check = by.get(name);
    assert.ok(check !== undefined, `${above.at(-1)} needs ${name}, which is no check`);
    for (const need of check.needs ?? []) visit(need, [...above, name]);
  };
  for (const { name } of checks) visit(name, []);
});
