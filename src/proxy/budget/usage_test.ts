// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import { priceOf } from "../../lib/prices.ts";
import { isUncountable, modelProtocol, UsageReader } from "./usage.ts";

const encoder = new TextEncoder();
const sse = (...events: object[]) =>
  events.map((event) => `event: x\ndata: ${JSON.stringify(event)}\n\n`).join("");

/** Shapes of each provider's documentation. */
const ANSWERS = {
  "Anthropic, whole": {
    type: "application/json",
    text: JSON.stringify({
      type: "message",
      model: "claude-sonnet-4-5",
      content: [{ type: "text", text: '"usage":{"output_tokens":999999}' }],
      usage: {
        input_tokens: 10,
        cache_creation_input_tokens: 3,
        cache_read_input_tokens: 100,
        output_tokens: 7,
      },
    }),
    usage: ["claude-sonnet-4-5", 10, 7, 100, 3],
  },
  "Anthropic, streamed": {
    type: "text/event-stream; charset=utf-8",
    text: sse(
      {
        type: "message_start",
        message: { model: "claude-opus-4-5", usage: { input_tokens: 25, output_tokens: 1 } },
      },
      { type: "content_block_delta", delta: { type: "text_delta", text: "hello" } },
      { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 15 } },
      { type: "message_stop" },
    ),
    usage: ["claude-opus-4-5", 25, 15, 0, 0],
  },
  "OpenAI chat, streamed": {
    type: "text/event-stream",
    text: sse(
      { model: "gpt-5", choices: [{ delta: { content: "hi" } }], usage: null },
      {
        model: "gpt-5",
        choices: [],
        usage: {
          prompt_tokens: 50,
          completion_tokens: 9,
          prompt_tokens_details: { cached_tokens: 20 },
        },
      },
    ) + "data: [DONE]\n\n",
    usage: ["gpt-5", 30, 9, 20, 0],
  },
  "OpenAI responses, streamed": {
    type: "text/event-stream",
    text: sse(
      { type: "response.created", response: { model: "gpt-5-mini", usage: null } },
      { type: "response.output_text.delta", delta: "hi" },
      {
        type: "response.completed",
        response: {
          model: "gpt-5-mini",
          usage: {
            input_tokens: 8,
            output_tokens: 4,
            input_tokens_details: { cached_tokens: 0 },
          },
        },
      },
    ),
    usage: ["gpt-5-mini", 8, 4, 0, 0],
  },
  "OpenAI embeddings": {
    type: "application/json",
    text: JSON.stringify({
      model: "text-embedding-3-small",
      data: [],
      usage: { prompt_tokens: 6, total_tokens: 6 },
    }),
    usage: ["text-embedding-3-small", 6, 0, 0, 0],
  },
} as const;

for (const [name, { type, text, usage }] of Object.entries(ANSWERS)) {
  Deno.test(`what ${name} says it took is read, however it is cut`, () => {
    const bytes = encoder.encode(text);
    fc.assert(fc.property(fc.array(fc.nat(bytes.length), { maxLength: 8 }), (cuts) => {
      const reader = new UsageReader(type, 4_000);
      let from = 0;
      for (const cut of [...cuts.toSorted((a, b) => a - b), bytes.length]) {
        reader.push(bytes.subarray(from, cut));
        from = cut;
      }
      const read = reader.end();
      assert.deepEqual(
        [read.model, read.input, read.output, read.cacheRead, read.cacheWrite],
        usage,
      );
      assert.equal(read.estimated, false);
    }));
  });
}

Deno.test("an answer that breaks off, says nothing or is no JSON is estimated, never free", () => {
  const start = sse(
    {
      type: "message_start",
      message: { model: "m", usage: { input_tokens: 9, output_tokens: 1 } },
    },
    ...Array.from({ length: 40 }, () => ({ type: "content_block_delta" })),
  );
  const broken = new UsageReader("text/event-stream", 400);
  broken.push(encoder.encode(start));
  assert.deepEqual(broken.end(), {
    model: "m",
    input: 9,
    output: 41,
    cacheRead: 0,
    cacheWrite: 0,
    estimated: true,
  });
  for (const text of ["", "not JSON", "[]", "null", '{"usage":7}', "{".repeat(5_000)]) {
    const reader = new UsageReader("application/json", 400);
    reader.push(encoder.encode(text));
    const usage = reader.end();
    assert.equal(usage.input, 100, text.slice(0, 20));
    assert.equal(usage.output, Math.ceil(text.length / 4));
    assert.ok(usage.estimated);
  }
  // Negative and endless numbers would give tokens back.
  const odd = new UsageReader("application/json", 400);
  odd.push(encoder.encode('{"usage":{"input_tokens":-5,"output_tokens":-1e999}}'));
  assert.equal(odd.end().input, 100);
});

Deno.test("a line that never ends is not kept", () => {
  const reader = new UsageReader("text/event-stream", 0);
  const piece = encoder.encode("data: " + "x".repeat(1024 * 1024));
  for (let count = 0; count < 20; count++) reader.push(piece);
  assert.ok(reader.end().estimated);
});

Deno.test("requests to models are known by the end of their path", () => {
  const cases: [string, string, string | null][] = [
    ["POST", "/v1/messages", "anthropic"],
    ["POST", "/v1/messages?beta=true", "anthropic"],
    ["POST", "/proxy/v1/chat/completions/", "openai"],
    ["POST", "/v1/responses", "openai"],
    ["GET", "/v1/messages", null],
    ["POST", "/v1/messages/count_tokens", null],
    ["POST", "/v1/files", null],
  ];
  for (const [method, target, protocol] of cases) {
    assert.equal(modelProtocol(method, target), protocol, target);
  }
  assert.ok(isUncountable("POST", "/v1/messages/batches") && isUncountable("POST", "/v1/batches"));
});

Deno.test("prices: the template's own first, the longest name; a stranger is as dear as the dearest", () => {
  const own = { input: 1, output: 2, cache_read: 0, cache_write: 0 };
  assert.equal(priceOf("claude-sonnet-4-5", { "claude-": own }).price, own);
  assert.equal(priceOf("us.anthropic.claude-haiku-4-5").price.output, 5);
  assert.equal(priceOf("openai/gpt-5-mini-2025").price.output, 2);
  assert.deepEqual(priceOf("claude-opus-4-5-20251101").price.input, 5);
  const stranger = priceOf("nobody-knows-it");
  assert.equal(stranger.known, false);
  assert.ok(stranger.price.output >= 120);
});
