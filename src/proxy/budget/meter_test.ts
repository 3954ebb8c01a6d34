// SPDX-License-Identifier: Apache-2.0

/** Budgets, through a proxy in this process with an upstream that speaks as Anthropic does. */
import assert from "node:assert/strict";
import type { Budgets } from "../../lib/schema/events.ts";
import type { SpentUsage } from "../api.ts";
import { withProxy } from "../testing/harness.ts";
import { BudgetMeter } from "./meter.ts";

const NOTHING = { run: { input: 0, output: 0, cost: 0 }, minutes: [] };

/** Each answer takes 100 tokens in and 50 out, of a model at $3 and $15. */
function startModel() {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const stream = (await request.text()).includes('"stream":true');
    const usage = { input_tokens: 100, output_tokens: 50 };
    if (!stream) return Response.json({ model: "claude-sonnet-4-5", usage });
    const events = [
      { type: "message_start", message: { model: "claude-sonnet-4-5", usage } },
      { type: "content_block_delta", delta: { text: "word" } },
      { type: "message_delta", usage: { output_tokens: 50 } },
    ];
    return new Response(
      events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join(""),
      { headers: { "content-type": "text/event-stream" } },
    );
  });
  return { port: (server.addr as Deno.NetAddr).port, stop: () => server.shutdown() };
}

async function withModel(
  budgets: Budgets | undefined,
  body: (bed: {
    ask(stream?: boolean): Promise<Response>;
    admin(path: string, init?: RequestInit): Promise<Response>;
    tell(spent?: object, caps?: Budgets | null, heard?: number): Promise<void>;
  }) => Promise<void>,
): Promise<void> {
  const model = startModel();
  try {
    await withProxy({
      services: {
        model: {
          upstream: `http://127.0.0.1:${model.port}`,
          inject_headers: { "x-api-key": "k" },
          strip_headers: [],
        },
      },
      ...(budgets === undefined ? {} : { budgets }),
    }, async ({ get, admin }) => {
      await body({
        ask: (stream = false) =>
          get("/http/model/v1/messages", {
            method: "POST",
            body: JSON.stringify({ model: "claude-sonnet-4-5", stream }),
          }),
        admin,
        async tell(spent = NOTHING, caps = budgets ?? null, heard = 0) {
          const answer = await admin("/v1/budget", {
            method: "PUT",
            body: JSON.stringify({ budgets: caps, spent, heard }),
          });
          assert.equal(answer.status, 200, await answer.text());
        },
      });
    });
  } finally {
    await model.stop();
  }
}

Deno.test("a cap lets requests pass until it is reached, whole and streamed, and then names itself", async () => {
  await withModel({ hour: { output_tokens: 100 } }, async ({ ask, tell }) => {
    await tell();
    const whole = await ask();
    assert.equal(whole.status, 200);
    await whole.body?.cancel();
    const streamed = await ask(true);
    assert.match(await streamed.text(), /message_delta/);
    const refused = await ask();
    assert.equal(refused.status, 429);
    // Clients of both providers read this, and don't try again.
    assert.equal(refused.headers.get("x-should-retry"), "false");
    assert.ok(Number(refused.headers.get("retry-after")) > 0);
    const { type, error } = await refused.json();
    assert.equal(type, "error");
    assert.equal(error.type, "rate_limit_error");
    assert.equal(error.code, "budget-exhausted");
    assert.match(
      error.message,
      /the last hour \(100 output tokens\).*budgets\.hour\.output_tokens/,
    );
    // Raised while it runs.
    await tell({ run: { input: 0, output: 0, cost: 0 }, minutes: [] }, { hour: { tokens: 1_000 } });
    const again = await ask();
    assert.equal(again.status, 200);
    await again.body?.cancel();
  });
  // Control: without a budget there is no end.
  await withModel(undefined, async ({ ask }) => {
    for (let count = 0; count < 5; count++) {
      const answer = await ask();
      assert.equal(answer.status, 200);
      await answer.body?.cancel();
    }
  });
});

Deno.test("nothing passes before the daemon has said what was spent, nor a batch at all", async () => {
  await withModel({ day: { cost_usd: 1 } }, async ({ ask, tell }) => {
    const early = await ask();
    assert.equal(early.status, 503);
    assert.equal((await early.json()).error.code, "budget-unknown");
    const minute = Math.floor(Date.now() / 60_000) - 600;
    await tell({ ...NOTHING, minutes: [[minute, { input: 0, output: 0, cost: 1 }]] });
    const spent = await ask();
    assert.equal(spent.status, 429);
    assert.match((await spent.json()).error.message, /\(\$1\)/);
    await tell({ ...NOTHING, minutes: [[minute - 1_000, { input: 0, output: 0, cost: 1 }]] });
    const aged = await ask();
    assert.equal(aged.status, 200);
    await aged.body?.cancel();
  });
});

Deno.test("the watcher hears of each answer once, and what is on the way is not forgotten", () => {
  let now = 10 * 60_000;
  const meter = new BudgetMeter({ run: { input_tokens: 350 } }, () => now);
  const usage = {
    model: "claude-sonnet-4-5",
    input: 100,
    output: 0,
    cacheRead: 0,
    cacheWrite: 0,
    estimated: false,
  };
  // Before anybody listens.
  meter.add(usage);
  const heard: SpentUsage[] = [];
  const end = meter.listen((more) => heard.push(...more));
  assert.equal(heard.length, 1);
  assert.equal(heard[0]!.cost, 0.0003);
  meter.add(usage);
  // The daemon had heard of one when it wrote this.
  const spent = { run: { input: 100, output: 0, cost: 0 }, minutes: [] };
  meter.tell({ budgets: { run: { input_tokens: 350 } }, spent, heard: 1 });
  meter.add(usage);
  assert.equal(meter.require("POST", "/v1/messages"), "anthropic");
  meter.add(usage);
  assert.throws(() => meter.require("POST", "/v1/messages"), { code: "budget-exhausted" });
  assert.throws(() => meter.require("POST", "/v1/messages/batches"), { code: "uncountable" });
  assert.equal(meter.require("POST", "/v1/files"), null);
  end();
  // An hour on, what an hour may take is free again; a run's is not.
  now += 61 * 60_000;
  meter.tell({ budgets: { hour: { tokens: 1 } }, spent, heard: 0 });
  assert.equal(meter.require("POST", "/v1/messages"), "anthropic");
});
