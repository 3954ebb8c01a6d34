// SPDX-License-Identifier: Apache-2.0

/** The official OpenAI SDK against the mock's scenarios: chat and responses. BASE_URL, API_KEY; FORWARD=1. */
import assert from "node:assert/strict";
import OpenAI from "openai";
import { check, done, throughProxy, thrownBy } from "./checks.mjs";

const client = new OpenAI({
  baseURL: process.env.BASE_URL,
  apiKey: process.env.API_KEY ?? "not-the-key",
  ...await throughProxy(),
});
const ask = (model, content = "hello") => ({ model, messages: [{ role: "user", content }] });
const parameters = { type: "object", properties: { city: { type: "string" } } };

await check("chat: a message", async () => {
  const answer = await client.chat.completions.create(ask("mock-large", "grüezi"));
  assert.equal(answer.choices[0].message.content, "You said: grüezi");
  assert.equal(answer.usage.total_tokens, 26);
});

await check("chat: an event comes before the next is made", async () => {
  const stream = await client.chat.completions.create({
    ...ask("held"),
    stream: true,
    stream_options: { include_usage: true },
  });
  const pieces = [];
  let usage = null;
  for await (const chunk of stream) {
    const text = chunk.choices[0]?.delta.content;
    if (text) pieces.push(text);
    if (pieces.length === 1 && text) await client.chat.completions.create(ask("release"));
    usage = chunk.usage ?? usage;
  }
  assert.deepEqual(pieces, ["one ", "two ", "three"]);
  assert.equal(usage.total_tokens, 18);
});

await check("chat: tools", async () => {
  const tools = [{ type: "function", function: { name: "weather", parameters } }];
  const runner = client.chat.completions.stream({ ...ask("tools"), tools });
  const { message, finish_reason } = (await runner.finalChatCompletion()).choices[0];
  assert.equal(finish_reason, "tool_calls");
  const [call] = message.tool_calls;
  assert.deepEqual(JSON.parse(call.function.arguments), { city: 'Zürich "ZH"', days: [1, 2] });
  const second = await client.chat.completions.create({
    ...ask("tools"),
    tools,
    messages: [
      ...ask("tools").messages,
      message,
      { role: "tool", tool_call_id: call.id, content: "sunny" },
    ],
  });
  assert.equal(second.choices[0].message.content, "It is sunny");
});

await check("responses: a message", async () => {
  const answer = await client.responses.create({ model: "mock-large", input: "grüezi" });
  assert.equal(answer.output_text, "You said: grüezi");
  assert.equal(answer.usage.output_tokens, 5);
});

await check("responses: an event comes before the next is made", async () => {
  const stream = client.responses.stream({ model: "held", input: "hello" });
  const pieces = [];
  for await (const event of stream) {
    if (event.type !== "response.output_text.delta") continue;
    pieces.push(event.delta);
    if (pieces.length === 1) await client.responses.create({ model: "release", input: "x" });
  }
  assert.deepEqual(pieces, ["one ", "two ", "three"]);
  const { output } = await stream.finalResponse();
  assert.equal(output[0].content[0].text, "one two three");
});

await check("responses: tools", async () => {
  const tools = [{ type: "function", name: "weather", parameters, strict: false }];
  const first = await client.responses.stream({ model: "tools", input: "hello", tools })
    .finalResponse();
  const call = first.output.find(({ type }) => type === "function_call");
  assert.deepEqual(JSON.parse(call.arguments), { city: 'Zürich "ZH"', days: [1, 2] });
  const second = await client.responses.create({
    model: "tools",
    tools,
    input: [
      { role: "user", content: "hello" },
      call,
      { type: "function_call_output", call_id: call.call_id, output: "sunny" },
    ],
  });
  assert.equal(second.output_text, "It is sunny");
});

await check("429, tried again", async () => {
  const answer = await client.chat.completions.create(ask("busy-once"));
  assert.equal(answer.choices[0].message.content, "at last");
  const other = await client.responses.create({ model: "busy-once", input: "x" });
  assert.equal(other.output_text, "at last");
});

await check("429, given up", async () => {
  const thrown = await thrownBy(() =>
    client.chat.completions.create(ask("busy"), { maxRetries: 0 })
  );
  assert.ok(thrown instanceof OpenAI.RateLimitError, String(thrown));
  assert.equal(thrown.type, "rate_limit_error");
  assert.match(thrown.requestID, /^req_/);
});

await check("errors", async () => {
  const thrown = await thrownBy(() => client.responses.create({ model: "invalid", input: "x" }));
  assert.ok(thrown instanceof OpenAI.BadRequestError, String(thrown));
  assert.match(thrown.message, /max_tokens: must be greater than 0/);
});

await check("streams that are cut", async () => {
  let text = "";
  await thrownBy(async () => {
    const stream = await client.chat.completions.create({ ...ask("dropped"), stream: true });
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
  });
  // Role, two texts, finish: the cut comes after all of them, before [DONE].
  assert.equal(text, "it begins and goes on");
  await thrownBy(async () => {
    const stream = await client.responses.create({ model: "dropped", input: "x", stream: true });
    for await (const _ of stream);
  });
});

await check("streams that fail midway", async () => {
  const thrown = await thrownBy(async () => {
    const stream = await client.chat.completions.create({
      ...ask("fails-midway"),
      stream: true,
    });
    for await (const _ of stream);
  });
  assert.match(String(thrown), /server had an error/);
});

await check("leaving a stream", async () => {
  const stream = await client.chat.completions.create({ ...ask("endless"), stream: true });
  for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
});

await check("models", async () => {
  const models = [];
  for await (const model of client.models.list()) models.push(model.id);
  assert.deepEqual(models, ["mock-large", "mock-small"]);
});

done();
