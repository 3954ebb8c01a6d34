// SPDX-License-Identifier: Apache-2.0

/** What a worker takes is its asker's to pay, and ends when that is all. */
import assert from "node:assert/strict";
import type { AgentEvent } from "../event.ts";
import { Session, spendOn } from "../native/mod.ts";
import type { RunOptions, Worker } from "../parent/worker.ts";
import { completeSpec } from "../provision/mod.ts";
import { ToolBox } from "../tools/mod.ts";
import { SPAWN_TOOL, spawnTool } from "./tool.ts";

const usage = (tokens: number, more: { by?: string } = {}): AgentEvent => ({
  type: "usage",
  input_tokens: tokens,
  output_tokens: 0,
  cache_read_tokens: 0,
  cache_write_tokens: 0,
  ...more,
});

/** One that says these things, as far as it is let. */
function talker(said: readonly unknown[]): Worker & { hasEnded: boolean } {
  const spec = completeSpec({
    version: 1,
    identity: { child_id: "n0" },
    executor: { kind: "echo" },
    fabric_dir: "/f",
  });
  return {
    spec,
    record: { agent_id: "n0", enforces: [] },
    exited: new Promise(() => {}),
    isReusable: false,
    hasEnded: false,
    async run(_, { onEvent, signal }: RunOptions = {}) {
      for (const event of said) {
        if (signal?.aborted) return { status: "cancelled" };
        onEvent?.(event);
        // Whoever counts has its turn.
        await new Promise((resolve) => setTimeout(resolve));
      }
      return { status: "completed", result: "done" };
    },
    end() {
      this.hasEnded = true;
      return Promise.resolve();
    },
  };
}

async function spent(said: readonly unknown[], limits: { tokens?: number; usd?: number }) {
  const worker = talker(said);
  const session = Session.inMemory();
  const events: AgentEvent[] = [];
  const purse = { session, limits, emit: (event: AgentEvent) => void events.push(event) };
  const tool = spawnTool({
    start: () => Promise.resolve(worker),
    spend: (...each) => spendOn(purse, ...each),
  });
  const call = { type: "tool_use" as const, id: "c", name: SPAWN_TOOL, input: { assignment: "x" } };
  const box = new ToolBox({ tools: [tool], workspace: "/" });
  const [result] = await box.runAll([call], new AbortController().signal, () => Promise.resolve());
  assert.ok(worker.hasEnded);
  return { result: result!, totals: session.totals, events };
}

Deno.test("tokens and dollars of a worker are in the sum, whoever under it took them", async () => {
  const said = [
    usage(60),
    { type: "cost", usd: 0.25 },
    { type: "whatever", usd: 7 },
    usage(30, { by: "n1" }),
    { type: "cost", usd: 0.75 },
    // A sum does not fall.
    { type: "cost", usd: 0.5 },
  ];
  const { result, totals, events } = await spent(said, { tokens: 100, usd: 1 });
  assert.deepEqual([result.output, result.is_error], ["done", false]);
  assert.deepEqual(totals, { tokens: 90, usd: 0.75 });
  assert.deepEqual(events, [
    usage(60, { by: "n0" }),
    { type: "cost", usd: 0.25 },
    usage(30, { by: "n0" }),
    { type: "cost", usd: 0.75 },
  ]);
});

Deno.test("a worker that takes the rest of what its asker has is ended there", async () => {
  const answers = Array.from({ length: 9 }, () => usage(60));
  const { result, totals } = await spent(answers, { tokens: 100 });
  assert.equal(result.is_error, true);
  assert.match(result.output, /^it was ended: 120 of 100 tokens are used/);
  assert.equal(totals.tokens, 120);
  const costs = Array.from({ length: 9 }, (_, n) => ({ type: "cost", usd: 0.4 * (n + 1) }));
  const dear = await spent(costs, { usd: 1 });
  assert.match(dear.result.output, /^it was ended: \$1\.2000 of \$1 are spent/);
});
