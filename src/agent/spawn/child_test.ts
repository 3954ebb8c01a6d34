// SPDX-License-Identifier: Apache-2.0

/** Who hears of a child's work, who answers its questions, and that it ends once. */
import assert from "node:assert/strict";
import { completeSpec } from "../provision/mod.ts";
import type { Worker } from "../parent/worker.ts";
import { Child } from "./child.ts";

const spec = completeSpec({
  version: 1,
  identity: { child_id: "n0" },
  executor: { kind: "echo" },
  fabric_dir: "/f",
});

function childOf(run: Worker["run"]) {
  const seen: string[] = [];
  const worker: Worker = {
    spec,
    record: { agent_id: "n0", enforces: [] },
    exited: new Promise(() => {}),
    isReusable: false,
    run,
    end: () => Promise.resolve(void seen.push("ended")),
  };
  const child = new Child(worker, {
    approve: (body) => Promise.resolve(seen.push(`asked ${body}`) > 0),
    hear: () => seen.push("heard"),
  }, () => Promise.resolve(void seen.push("left")));
  return { child, seen };
}

Deno.test("what a child does is heard above, and its questions pass whoever asked for it", async () => {
  const { child, seen } = childOf(async (_, { onEvent, onApproval } = {}) => {
    onEvent?.({ type: "token" });
    const answer = await onApproval?.("leave", new AbortController().signal);
    return { status: "completed", result: String(answer) };
  });
  const events: unknown[] = [];
  const outcome = await child.run({ assignment: "x" }, {
    onEvent: (event) => events.push(event),
    onApproval: () => Promise.reject(new Error("it asks the one that asked for it")),
  });
  assert.deepEqual(outcome, { status: "completed", result: "true" });
  assert.deepEqual(events, [{ type: "token" }]);
  assert.deepEqual(seen, ["heard", "asked leave", "heard"]);
});

Deno.test("a child ends once, whoever ends it", async () => {
  const { child, seen } = childOf(() => Promise.resolve({ status: "cancelled" }));
  await Promise.all([child.end(), child.end(), child.ended]);
  await child.end();
  assert.deepEqual(seen, ["ended", "left"]);
});
