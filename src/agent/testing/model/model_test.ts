// SPDX-License-Identifier: Apache-2.0

/** What tests lean on; that the protocols are true is tests/interop/mock_models_test.ts's to say. */
import assert from "node:assert/strict";
import { readServerSentEvents } from "../../../lib/sse.ts";
import { call, type MockModels, overloaded, say, type Script, startModels, turns } from "./mod.ts";

const KEY = "key-0123456789";
const keys = { anthropic: KEY, openai: KEY };

async function withModels(
  options: { script: Script; socket?: string },
  use: (models: MockModels) => Promise<void>,
): Promise<void> {
  const models = startModels({ keys, ...options });
  try {
    await use(models);
  } finally {
    await models.stop();
  }
}

function ask(
  models: MockModels,
  path: string,
  body: unknown,
  client?: Deno.HttpClient,
): Promise<Response> {
  return fetch(`http://127.0.0.1:${models.port || 80}/v1/${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${KEY}`, "anthropic-version": "2023-06-01" },
    body: JSON.stringify(body),
    ...(client === undefined ? {} : { client }),
  });
}

const hello = { model: "m", max_tokens: 10, messages: [{ role: "user", content: "hello" }] };

Deno.test("a list of turns is played to its end, and what was asked is kept", async () => {
  const script = turns(
    overloaded,
    ({ lastText }) => say(`re: ${lastText}`),
  );
  await withModels({ script }, async (models) => {
    const busy = await ask(models, "messages", hello);
    assert.equal(busy.status, 529);
    assert.equal((await busy.json()).error.type, "overloaded_error");
    const answer = await (await ask(models, "messages?beta=true", hello)).json();
    assert.equal(answer.content[0].text, "re: hello");
    const over = await ask(models, "messages", hello);
    assert.equal(over.status, 400);
    assert.match(await over.text(), /the script has no more turns/);
    assert.deepEqual(models.requests.map(({ path }) => path), [
      "/v1/messages",
      "/v1/messages?beta=true",
      "/v1/messages",
    ]);
    assert.equal(models.requests[0]!.headers.get("authorization"), `Bearer ${KEY}`);
    assert.equal(JSON.parse(models.requests[0]!.body).model, "m");
  });
});

Deno.test("a Unix socket; pieces that cut a letter; what the cache gave", async () => {
  const dir = await Deno.makeTempDir();
  const socket = `${dir}/model.sock`;
  const script: Script = () => ({
    ...say("grüezi ", "🦊"),
    pieceBytes: 3,
    usage: { input: 1, output: 2, cacheRead: 3, cacheWrite: 4 },
  });
  using client = Deno.createHttpClient({ proxy: { transport: "unix", path: socket } });
  try {
    await withModels({ script, socket }, async (models) => {
      const answer = await ask(models, "messages", { ...hello, stream: true }, client);
      let text = "";
      let usage = null;
      for await (const { data } of readServerSentEvents(answer.body!)) {
        const event = JSON.parse(data);
        text += event.delta?.text ?? "";
        usage = event.usage ?? usage;
      }
      assert.equal(text, "grüezi 🦊");
      assert.deepEqual(usage, {
        input_tokens: 1,
        cache_creation_input_tokens: 4,
        cache_read_input_tokens: 3,
        output_tokens: 2,
      });
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

const use = { type: "tool_use", id: "t1", name: "read", input: {} };
const result = { type: "tool_result", tool_use_id: "t1", content: "x" };
const asked = { role: "assistant", tool_calls: [{ id: "c1", type: "function" }] };
const person = { role: "user", content: "go" };

for (
  const [name, path, body, why] of [
    ["a call without its result", "messages", {
      ...hello,
      messages: [person, { role: "assistant", content: [use] }, person],
    }, /ids were found without `tool_result` blocks/],
    ["a result that nobody asked for", "messages", {
      ...hello,
      messages: [{ role: "user", content: [result] }],
    }, /unexpected `tool_use_id`/],
    ["an empty text", "messages", { ...hello, messages: [{ role: "user", content: "" }] }, /empty/],
    ["no limit", "messages", { model: "m", messages: [person] }, /max_tokens: Field required/],
    ["a call without its result", "chat/completions", {
      model: "m",
      messages: [person, asked, person],
    }, /must be followed by tool messages/],
    ["a result that nobody asked for", "chat/completions", {
      model: "m",
      messages: [person, { role: "tool", tool_call_id: "c2", content: "x" }],
    }, /must be a response to a preceding message/],
    ["a call without its result", "responses", {
      model: "m",
      input: [{ type: "function_call", call_id: "c1", name: "read", arguments: "{}" }],
    }, /No tool output found/],
    ["a result that nobody asked for", "responses", {
      model: "m",
      input: [{ type: "function_call_output", call_id: "c1", output: "" }],
    }, /No tool call found/],
  ] as const
) {
  Deno.test(`what the real API refuses is refused: ${name} (${path})`, async () => {
    await withModels({ script: () => call("read", {}) }, async (models) => {
      const answer = await ask(models, path, body);
      assert.equal(answer.status, 400);
      assert.match((await answer.json()).error.message, why);
      assert.equal(models.asks.length, 0);
    });
  });
}
