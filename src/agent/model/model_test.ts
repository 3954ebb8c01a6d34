// SPDX-License-Identifier: Apache-2.0

/** Every protocol against the mock that speaks it: answers, tools, failures, streams that break. */
import assert from "node:assert/strict";
import {
  fail,
  type MockModels,
  overloaded,
  type Say,
  say,
  type Script,
  startModels,
  turns,
} from "../testing/model/mod.ts";
import { retryAfterMs } from "./errors.ts";
import {
  type Answer,
  type AskOptions,
  costOf,
  createModelClient,
  type Message,
  ModelError,
  type ModelRequest,
  type Piece,
  type Protocol,
} from "./mod.ts";

const KEY = "placeholder-0123456789";
const PROTOCOLS: readonly Protocol[] = ["anthropic", "openai-chat", "openai-responses"];
const user = (text: string): Message => ({ role: "user", content: [{ type: "text", text }] });
const request: ModelRequest = {
  model: "claude-sonnet-4-5",
  system: "You are a test.",
  messages: [user("hello")],
  tools: [{ name: "read", description: "Reads", schema: { type: "object", properties: {} } }],
  maxTokens: 1000,
};

class Asking {
  readonly models: MockModels;
  readonly protocol: Protocol;
  readonly pieces: Piece[] = [];
  readonly waits: number[] = [];
  readonly wasted: Answer["usage"][] = [];

  constructor(protocol: Protocol, script: Script) {
    this.protocol = protocol;
    this.models = startModels({ script, keys: { anthropic: KEY, openai: KEY } });
  }

  ask(request: ModelRequest, more: Partial<AskOptions> = {}, maxAttempts = 3): Promise<Answer> {
    const base = `http://127.0.0.1:${this.models.port}`;
    const client = createModelClient({
      protocol: this.protocol,
      baseUrl: this.protocol === "anthropic" ? base : `${base}/v1`,
      key: KEY,
      maxAttempts,
      random: () => 0,
      clock: {
        now: Date.now,
        sleep: (ms) => {
          this.waits.push(ms);
          return Promise.resolve();
        },
      },
    });
    return client.ask(request, {
      signal: new AbortController().signal,
      onPiece: (piece) => this.pieces.push(piece),
      onWasted: (usage) => this.wasted.push(usage),
      ...more,
    });
  }

  /** What somebody who shows the pieces shows in the end. */
  shown(): string {
    let shown = "";
    for (const piece of this.pieces) {
      if (piece.type === "reset") shown = "";
      if (piece.type === "text") shown += piece.text;
    }
    return shown;
  }
}

function each(name: string, use: (asking: (script: Script) => Asking) => Promise<void>): void {
  for (const protocol of PROTOCOLS) {
    Deno.test(`${protocol}: ${name}`, async () => {
      const open: Asking[] = [];
      try {
        await use((script) => {
          const asking = new Asking(protocol, script);
          open.push(asking);
          return asking;
        });
      } finally {
        for (const { models } of open) await models.stop();
      }
    });
  }
}

const kinds = (answer: Answer) => answer.content.map(({ type }) => type);
const textOf = (answer: Answer) =>
  answer.content.flatMap((block) => block.type === "text" ? [block.text] : []).join("");

each("words, thoughts, calls and their results, in pieces of seven bytes", async (asking) => {
  const first: Say = {
    ...say("Let me ", "see: grüezi 🦊."),
    thinking: "I must look.",
    tools: [{ name: "read", input: { path: 'a "b".txt' } }, { name: "read", input: {} }],
    usage: { input: 10, output: 20, cacheRead: 30, cacheWrite: 5 },
    pieceBytes: 7,
  };
  const it = asking(turns(first, say("done")));
  const answer = await it.ask(request);
  assert.equal(answer.stop, "tools");
  // Chat Completions has no thoughts.
  const thinking = it.protocol === "openai-chat" ? [] : ["thinking"];
  assert.deepEqual(kinds(answer), [...thinking, "text", "tool_use", "tool_use"]);
  assert.equal(it.shown(), "Let me see: grüezi 🦊.");
  assert.equal(textOf(answer), it.shown());
  const calls = answer.content.filter((block) => block.type === "tool_use");
  assert.deepEqual(calls.map(({ name, input }) => ({ name, input })), [
    { name: "read", input: { path: 'a "b".txt' } },
    { name: "read", input: {} },
  ]);
  const { input_tokens, output_tokens, cache_read_tokens } = answer.usage;
  assert.deepEqual([input_tokens, output_tokens, cache_read_tokens], [10, 20, 30]);
  assert.equal(answer.usage.cache_write_tokens, it.protocol === "anthropic" ? 5 : 0);
  const results = calls.map(({ id }, at) => ({
    type: "tool_result" as const,
    id,
    output: at === 0 ? "hello" : "",
    is_error: at === 1,
  }));
  const end = await it.ask({
    ...request,
    messages: [
      ...request.messages,
      { role: "assistant", content: answer.content },
      { role: "user", content: [...results, { type: "text", text: "and hurry" }] },
    ],
  });
  assert.equal(end.stop, "end");
  assert.equal(textOf(end), "done");
  const { toolResults, lastText, tools, body } = it.models.asks[1]!;
  assert.equal(toolResults[0], "hello");
  assert.equal(lastText, "and hurry");
  assert.deepEqual(tools, ["read"]);
  assert.match(JSON.stringify(body), /You are a test\./);
});

each("busy: waits as it was asked to, and asks again", async (asking) => {
  const it = asking(turns(fail(429, "rate_limit_error", "slow down", 7), overloaded, say("ok")));
  assert.equal(textOf(await it.ask(request)), "ok");
  assert.deepEqual(it.waits, [7000, 0]);
  const none = asking(() => overloaded);
  await assert.rejects(none.ask(request), (error: ModelError) => {
    assert.equal(error.code, "overloaded");
    assert.equal(error.isPassing, true);
    return true;
  });
  assert.equal(none.models.requests.length, 3);
});

each("what no waiting mends is not asked again", async (asking) => {
  for (
    const [reply, code] of [
      [fail(400, "invalid_request_error", "max_tokens: wrong"), "bad-request"],
      [fail(401, "authentication_error", "invalid key"), "refused-key"],
      [fail(400, "invalid_request_error", "prompt is too long: 9 tokens > 8"), "context-too-long"],
      [fail(429, "insufficient_quota", "You exceeded your current quota"), "no-credit"],
    ] as const
  ) {
    const it = asking(() => reply);
    await assert.rejects(it.ask(request), { code });
    assert.equal(it.models.requests.length, 1);
  }
});

each("a stream that breaks: nothing is told twice", async (asking) => {
  const words = ["one ", "two ", "three ", "four"];
  // Wherever it breaks, also before the first word and after the last.
  for (let dropAfter = 0; dropAfter <= 9; dropAfter++) {
    const it = asking(turns({ ...say(...words), dropAfter }, say(...words)));
    const answer = await it.ask(request);
    assert.equal(textOf(answer), "one two three four");
    assert.deepEqual(
      it.pieces.map((piece) => piece.type === "text" ? piece.text : piece.type).join(""),
      "one two three four",
    );
    if (it.waits.length > 0) {
      assert.equal(it.wasted.length, 1, `broken after ${dropAfter}`);
      assert.ok(it.wasted[0]!.output_tokens * 4 >= it.shown().length - "one two three four".length);
    }
  }
});

each("a stream that breaks, and another answer: the first is void", async (asking) => {
  const it = asking(turns({ ...say("one ", "two ", "three"), dropAfter: 6 }, say("one ", "2")));
  assert.equal(textOf(await it.ask(request)), "one 2");
  assert.equal(it.shown(), "one 2");
  assert.equal(it.pieces.filter(({ type }) => type === "reset").length, 1);
});

each("a stream that tells an error", async (asking) => {
  const it = asking(turns({ ...say("one ", "two"), failAfter: 4 }, say("one ", "two")));
  assert.equal(textOf(await it.ask(request)), "one two");
  assert.equal(it.waits.length, 1);
  assert.equal(it.shown(), "one two");
});

each("cut off by its limit", async (asking) => {
  const stop = {
    anthropic: "max_tokens",
    "openai-chat": "length",
    "openai-responses": "max_output_tokens",
  };
  const it = asking(({ api }) => ({ ...say("one"), stop: stop[api] }));
  assert.equal((await it.ask(request)).stop, "length");
});

each("cancelled: while it speaks, and while it waits", async (asking) => {
  const stop = new AbortController();
  const it = asking(() => ({ ...say("one ", "two"), holdAfterFirst: new Promise(() => {}) }));
  let kept: Answer | null = null;
  await assert.rejects(
    it.ask(request, {
      signal: stop.signal,
      onPiece: () => stop.abort(new Error("enough")),
      onCancelled: (answer) => kept = answer,
    }),
    /enough/,
  );
  assert.equal(textOf(kept!), "one ");
  assert.equal(it.models.requests.length, 1);
});

Deno.test("arguments that are no object are told as they came; lines may end as in DOS", async () => {
  const broken = "data: " + JSON.stringify({
    choices: [{
      delta: { tool_calls: [{ index: 0, id: "c1", function: { name: "read", arguments: '{"a' } }] },
    }],
  }) + "\r\n\r\ndata: [DONE]\r\n\r\n";
  const client = createModelClient({
    protocol: "openai-chat",
    baseUrl: "/model",
    fetch: (url, init) => {
      assert.equal(url, "/model/chat/completions");
      // Without a key there is no header that a proxy would have to take away.
      assert.equal(new Headers(init.headers).get("authorization"), null);
      return Promise.resolve(new Response(broken));
    },
  });
  const { content } = await client.ask(request, { signal: new AbortController().signal });
  assert.deepEqual(content, [
    { type: "tool_use", id: "c1", name: "read", input: {}, malformed: '{"a' },
  ]);
});

Deno.test("the proxy's own refusals", async () => {
  const refused = (status: number, code: string) =>
    createModelClient({
      protocol: "anthropic",
      baseUrl: "/model",
      maxAttempts: 1,
      fetch: () =>
        Promise.resolve(
          Response.json({ error: { code, message: "no more", hint: "ask" } }, { status }),
        ),
    }).ask(request, { signal: new AbortController().signal });
  await assert.rejects(refused(429, "budget-exhausted"), { code: "budget-exhausted", hint: "ask" });
  await assert.rejects(refused(403, "forbidden"), { code: "refused-key" });
  await assert.rejects(refused(502, "upstream-unreachable"), { code: "server-error" });
});

Deno.test("how long to wait, as providers write it", () => {
  const of = (headers: Record<string, string>) =>
    retryAfterMs(new Headers(headers), Date.parse("2026-01-01T00:00:00Z"));
  assert.equal(of({}), undefined);
  assert.equal(of({ "retry-after": "1.5" }), 1500);
  assert.equal(of({ "retry-after": "Thu, 01 Jan 2026 00:00:09 GMT" }), 9000);
  assert.equal(of({ "retry-after": "soon" }), undefined);
  assert.equal(of({ "retry-after": "9", "retry-after-ms": "12" }), 12);
});

Deno.test("what an answer costs", () => {
  const usage = {
    input_tokens: 1_000_000,
    output_tokens: 100_000,
    cache_read_tokens: 1_000_000,
    cache_write_tokens: 0,
  };
  assert.equal(costOf(usage, "claude-sonnet-4-5"), 3 + 1.5 + 0.3);
  const own = { mine: { input: 1, output: 1, cache_read: 0, cache_write: 0 } };
  assert.equal(costOf({ ...usage, model: "mine-2" }, "claude-sonnet-4-5", own), 1.1);
});
