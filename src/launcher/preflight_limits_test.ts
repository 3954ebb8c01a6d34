// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { judgeLimits } from "./preflight_limits.ts";

Deno.test("judgeLimits() warns of each limit that cannot be had, not of the rare ones", () => {
  const found = judgeLimits(2, ["memory.max", "pids.max", "cgroup.freeze"]);
  assert.deepEqual(found.map((one) => [one.check, one.severity]), [
    ["limits.memory", "ok"],
    ["limits.swap", "ok"],
    ["limits.pids", "ok"],
    ["limits.cpu", "warning"],
    ["limits.io-rate", "ok"],
    ["limits.io", "ok"],
    ["limits.freeze", "ok"],
  ]);
  assert.match(found[3]!.message, /cpu\.max is missing: quota and weight/);
  assert.equal(judgeLimits(1, []).filter((one) => one.severity === "warning").length, 4);
});
