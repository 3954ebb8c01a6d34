// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import {
  type Cell,
  type Desired,
  type Memory,
  noMemory,
  reconcile,
  UNMET_GRACE_MS,
} from "../reconcile.ts";

const waiting: Desired = {
  want: "waiting",
  issuedAt: 10,
  generation: "g10",
  credentials: null,
  restartPolicy: "always",
  problem: { code: "condition-unmet", message: "waiting" },
};
const running: Desired = { ...waiting, want: "running", problem: null };
const cell: Cell = {
  phase: "running",
  issuedAt: 10,
  credentialsDigest: null,
  startedAt: 1_000,
  exit: null,
  message: null,
};
const exited = (code: number): Cell => ({ ...cell, phase: "exited", exit: { code, at: 2_000 } });
const step = (d: Desired, c: Cell | null, m: Memory = noMemory, now = 5_000) =>
  reconcile(d, { known: true, cell: c }, m, now);

Deno.test("what waits is not started, and what runs on is asked to end when its condition is gone", () => {
  assert.equal(step(waiting, null).action, null);
  assert.equal(step(running, null).action?.type, "create");
  assert.deepEqual(step(waiting, cell).action, { type: "destroy", graceMs: UNMET_GRACE_MS });
  assert.equal(step(waiting, { ...cell, phase: "stopping" }).action, null);
  assert.equal(reconcile(waiting, { known: false, cell: null }, noMemory, 0).action, null);
});

Deno.test("a one-shot has time to end by itself, counted from when its condition was gone", () => {
  const once: Desired = { ...waiting, restartPolicy: "never" };
  const first = step(once, cell, noMemory, 5_000);
  assert.deepEqual(first.action, { type: "wake", at: 5_000 + UNMET_GRACE_MS });
  const again = step(once, cell, first.memory, 9_000);
  assert.deepEqual(again.action, { type: "wake", at: 5_000 + UNMET_GRACE_MS });
  assert.equal(step(once, cell, again.memory, 5_000 + UNMET_GRACE_MS).action?.type, "destroy");
  // The condition came back: it is left alone, and another loss is counted anew.
  const back = step({ ...running, restartPolicy: "never" }, cell, again.memory, 9_500);
  assert.deepEqual([back.action, back.memory.unmetAt], [null, null]);
  const later = step(once, cell, back.memory, 20_000);
  assert.deepEqual(later.action, { type: "wake", at: 20_000 + UNMET_GRACE_MS });
});

Deno.test("a one-shot that ended is completed, whatever its condition says then and later (W-14)", () => {
  for (const restartPolicy of ["never", "on-failure"] as const) {
    const ended = step({ ...waiting, restartPolicy }, exited(0));
    assert.deepEqual([ended.action, ended.memory.completedIssuedAt], [null, 10]);
    assert.equal(step({ ...running, restartPolicy }, exited(0), ended.memory).action, null);
    assert.equal(step({ ...running, restartPolicy }, null, ended.memory).action, null);
    const signedAgain = { ...running, restartPolicy, issuedAt: 11, generation: "g11" };
    assert.equal(step(signedAgain, null, ended.memory).action?.type, "create");
  }
});

Deno.test("a condition that comes and goes is no way around a back-off", () => {
  let memory = step(running, exited(1)).memory;
  const retryAt = memory.retryAt!;
  assert.ok(retryAt > 5_000);
  memory = step(waiting, exited(1), memory).memory;
  assert.deepEqual(step(running, exited(1), memory).action, { type: "wake", at: retryAt });
});
