// SPDX-License-Identifier: Apache-2.0

/** The runner of checks: order, what stands on what, deadlines. */
import assert from "node:assert/strict";
import { type Check, type Finding, pass } from "./check.ts";
import { runChecks } from "./run.ts";

const check = (
  name: string,
  run: Check["run"],
  more: Partial<Check> = {},
): Check => ({ group: "machine", name, guide: "x", run, ...more });
const never = new AbortController().signal;
const told = (found: readonly Finding[]) => found.map(({ name, status }) => `${name} ${status}`);

Deno.test("checks run at once, and are told by group in their order", async () => {
  const slow = Promise.withResolvers<void>();
  const groups: string[] = [];
  const found = await runChecks([
    check("rooms", () => [pass("rooms.a", ""), pass("rooms.b", "")], { group: "rooms" }),
    // Would wait for ever, were they run one after the other.
    check("one", () => slow.promise.then(() => [pass("one", "")])),
    check("two", () => {
      slow.resolve();
      return [pass("two", "")];
    }),
  ], { deadlineMs: 60_000, signal: never, onGroup: (group) => groups.push(group) });
  assert.deepEqual(told(found), ["one pass", "two pass", "rooms.a pass", "rooms.b pass"]);
  assert.deepEqual(groups, ["machine", "rooms"]);
});

Deno.test("what stands on a check that fails is skipped, with the first reason", async () => {
  let ran = 0;
  const count = () => {
    ran++;
    return [pass("c", "")];
  };
  const found = await runChecks([
    check("c", count, { needs: ["b"] }),
    check("b", count, { needs: ["a"] }),
    check("a", () => [{ name: "a", status: "fail", detail: "it is down" }]),
    check("d", () => [{ name: "d", status: "warn", detail: "" }]),
    check("e", () => [pass("e", "")], { needs: ["d"] }),
  ], { deadlineMs: 60_000, signal: never });
  assert.equal(ran, 0);
  assert.deepEqual(told(found), ["c skip", "b skip", "a fail", "d warn", "e pass"]);
  assert.equal(found[0]!.detail, "a fails: it is down");
});

Deno.test("a check that throws, or takes too long, fails by itself alone", async () => {
  let aborted = false;
  const found = await runChecks([
    check("throws", () => {
      throw new Error("no such thing");
    }),
    check("hangs", (signal) => {
      signal.addEventListener("abort", () => aborted = true);
      return new Promise<never>(() => {});
    }),
    check("well", () => [pass("well", "")]),
  ], { deadlineMs: 50, signal: never });
  assert.deepEqual(told(found), ["throws fail", "hangs fail", "well pass"]);
  assert.equal(found[0]!.detail, "no such thing");
  assert.match(found[1]!.detail, /within 0\.05 s/);
  assert.ok(aborted);
});

Deno.test("whoever ends the command ends all checks", async () => {
  const stop = new AbortController();
  const run = runChecks([check("hangs", () => new Promise<never>(() => {}))], {
    deadlineMs: 60_000,
    signal: stop.signal,
  });
  stop.abort(new Error("interrupted"));
  await assert.rejects(run, /interrupted/);
});
