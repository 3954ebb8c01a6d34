// SPDX-License-Identifier: Apache-2.0

/** The official Anthropic SDK against the mock's scenarios. BASE_URL, API_KEY; FORWARD=1: by HTTPS_PROXY. */
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { check, done, throughProxy, thrownBy } from "./checks.mjs";

const client = new Anthropic({
  baseURL: process.env.BASE_URL,
  apiKey: process.env.API_KEY ?? "not-the-key",
  ...await throughProxy(),
});
const ask = (model, content = "hello") => ({
  model,
  max_tokens: 100,
  messages: [{ role: "user", content }],
});
const textOf = (message) =>
  message.content.filter(({ type }) => type === "text").map(({ text }) => text).join("");

await check("a message", async () => {
  const message = await client.messages.create(ask("mock-large", "grüezi"));
  assert.equal(textOf(message), "You said: grüezi");
  assert.deepEqual(message.usage, {
    input_tokens: 21,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
    output_tokens: 5,
  });
});

await check("an event comes before the next is made", async () => {
  const stream = client.messages.stream(ask("held"));
  let before = "";
  let released = false;
  for await (const event of stream) {
    if (event.type !== "content_block_delta") continue;
    if (!released) {
      released = true;
      before = event.delta.text;
      await client.messages.create(ask("release"));
    }
  }
  assert.equal(before, "one ");
  assert.equal(textOf(await stream.finalMessage()), "one two three");
});

await check("tools", async () => {
  const tools = [{
    name: "weather",
    input_schema: { type: "object", properties: { city: { type: "string" } } },
  }];
  const first = await client.messages.stream({ ...ask("tools"), tools }).finalMessage();
  assert.equal(first.stop_reason, "tool_use");
  assert.deepEqual(first.content.map(({ type }) => type), ["thinking", "text", "tool_use"]);
  const call = first.content.at(-1);
  assert.deepEqual(call.input, { city: 'Zürich "ZH"', days: [1, 2] });
  const second = await client.messages.stream({
    ...ask("tools"),
    tools,
    messages: [
      ...ask("tools").messages,
      { role: "assistant", content: first.content },
      {
        role: "user",
        content: [{ type: "tool_result", tool_use_id: call.id, content: "sunny" }],
      },
    ],
  }).finalMessage();
  assert.equal(textOf(second), "It is sunny");
});

await check("429, tried again", async () => {
  assert.equal(textOf(await client.messages.create(ask("busy-once"))), "at last");
});

await check("429, given up", async () => {
  const thrown = await thrownBy(() => client.messages.create(ask("busy"), { maxRetries: 0 }));
  assert.ok(thrown instanceof Anthropic.RateLimitError, String(thrown));
  assert.equal(thrown.status, 429);
  assert.equal(thrown.headers.get("retry-after"), "0");
});

await check("errors", async () => {
  const invalid = await thrownBy(() => client.messages.create(ask("invalid")));
  assert.ok(invalid instanceof Anthropic.BadRequestError, String(invalid));
  assert.match(invalid.message, /max_tokens: must be greater than 0/);
  assert.match(invalid.requestID, /^req_/);
  const busy = await thrownBy(() => client.messages.create(ask("overloaded"), { maxRetries: 0 }));
  assert.equal(busy.status, 529);
});

await check("a stream that is cut", async () => {
  let text = "";
  const thrown = await thrownBy(async () => {
    const stream = await client.messages.create({ ...ask("dropped"), stream: true });
    for await (const event of stream) text += event.delta?.text ?? "";
  });
  assert.ok(thrown instanceof Error);
  assert.equal(text, "it begins");
});

await check("a stream that fails midway", async () => {
  const thrown = await thrownBy(() => client.messages.stream(ask("fails-midway")).done());
  assert.match(thrown.message, /overloaded_error/);
});

await check("leaving a stream", async () => {
  const stream = client.messages.stream(ask("endless"));
  stream.on("text", () => stream.abort());
  const thrown = await thrownBy(() => stream.done());
  assert.ok(thrown instanceof Anthropic.APIUserAbortError, String(thrown));
});

await check("models and token counts", async () => {
  const models = [];
  for await (const model of client.models.list()) models.push(model.id);
  assert.deepEqual(models, ["mock-large", "mock-small"]);
  const { max_tokens: _, ...counted } = ask("mock-large");
  assert.equal((await client.messages.countTokens(counted)).input_tokens, 9);
});

done();
