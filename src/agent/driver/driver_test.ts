// SPDX-License-Identifier: Apache-2.0

/** What drivers make of what programs say: recorded from the real ones, and from programs that misbehave. */
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { AgentEvent } from "../event.ts";
import * as z from "zod/mini";
import { ClaudeProtocol } from "./claude.ts";
import { CodexProtocol } from "./codex.ts";
import { lineDriver } from "./line.ts";
import { readLines } from "./lines.ts";
import type { Protocol, Told } from "./program.ts";

type End = Extract<AgentEvent, { type: "end" }>;

/** A protocol without a program. */
class Bench implements Told {
  readonly events: AgentEvent[] = [];
  readonly written: Record<string, unknown>[] = [];
  failure: string | null = null;
  isReady = false;
  readonly write = (line: string) => void this.written.push(JSON.parse(line));
  readonly event = (...events: readonly AgentEvent[]) => void this.events.push(...events);
  readonly steers: [string, string][] = [];
  readonly steered = (key: string, how: string) => void this.steers.push([key, how]);
  readonly end = (end: Omit<End, "type">) => void this.events.push({ type: "end", ...end });
  readonly ready = () => void (this.isReady = true);
  readonly fail = (message: string) => void (this.failure = message);

  kinds(): string[] {
    return this.events.map((event) =>
      "partial" in event && event.partial ? `${event.type}…` : event.type
    );
  }
}

const recorded = async (name: string): Promise<string[]> =>
  (await Deno.readTextFile(new URL(`./testing/${name}.jsonl`, import.meta.url)))
    .trimEnd().split("\n");

const claudeOn = (bench: Bench) => new ClaudeProtocol(bench, {});
const codexOn = (bench: Bench) => new CodexProtocol(bench, { cwd: "/workspace" });

Deno.test("Claude Code's own stream: text, tools, tokens and cost are told, nested as they are", async () => {
  const bench = new Bench();
  const protocol = claudeOn(bench);
  for (const line of await recorded("claude")) protocol.line(line);
  assert.deepEqual(bench.kinds(), [
    "session",
    ...["text…", "text…", "text", "usage", "cost", "end"],
    ...["text…", "text", "tool_call", "usage", "tool_result"],
    ...["text…", "text…", "text", "usage", "cost", "end"],
  ]);
  const [first, second] = bench.events.filter((event) => event.type === "end");
  assert.equal(first!.status, "completed");
  assert.match(first!.result!, /^You said: [^]*hello there$/);
  assert.equal(second!.result, "You said: TOOLS please");
  assert.deepEqual(
    bench.events.filter((event) => event.type === "usage").map((usage) => usage.output_tokens),
    [
      5,
      7,
      5,
    ],
  );
  const call = bench.events.find((event) => event.type === "tool_call")!;
  const result = bench.events.find((event) => event.type === "tool_result")!;
  assert.equal(call.name, "Bash");
  assert.deepEqual(result, { type: "tool_result", id: call.id, output: "hi", is_error: false });
});

Deno.test("Codex's own stream: text, commands and tokens are told", async () => {
  const bench = new Bench();
  const protocol = codexOn(bench);
  protocol.begin();
  for (const line of await recorded("codex")) {
    const { id, method } = JSON.parse(line);
    if (id === 3 && method === undefined) protocol.turn("hello");
    if (id === 4 && method === undefined) protocol.turn("TOOLS");
    protocol.line(line);
  }
  assert.deepEqual(
    bench.written.map(({ method }) => method),
    ["initialize", "initialized", "thread/start", "turn/start", "turn/start"],
  );
  assert.ok(bench.isReady);
  assert.deepEqual(bench.kinds(), [
    "session",
    ...["text…", "text…", "text", "usage", "end"],
    ...["text…", "text", "tool_call", "tool_result", "usage", "text…", "text…", "text", "usage"],
    "end",
  ]);
  const result = bench.events.find((event) => event.type === "tool_result")!;
  assert.equal(result.output, "hi\n".repeat(result.output.length / 3));
  assert.equal((bench.events.at(-1) as End).status, "completed");
});

Deno.test("an approval is asked for and answered; without anybody it is refused", async () => {
  const ask = JSON.stringify({
    type: "control_request",
    request_id: "r1",
    request: { subtype: "can_use_tool", tool_name: "Bash", input: { command: "ls" } },
  });
  for (const isAllowed of [true, false]) {
    const bench = new Bench();
    const answered = Promise.withResolvers<void>();
    const protocol = new ClaudeProtocol({
      ...bench,
      write: (line) => {
        bench.write(line);
        answered.resolve();
      },
    }, { approve: () => Promise.resolve(isAllowed) });
    protocol.line(ask);
    await answered.promise;
    const { response } = bench.written[0] as { response: { response: { behavior: string } } };
    assert.equal(response.response.behavior, isAllowed ? "allow" : "deny");
    assert.equal(bench.events[0]!.type, "state");
  }
  const alone = new Bench();
  claudeOn(alone).line(ask);
  const { response } = alone.written[0] as { response: { subtype: string } };
  assert.equal(response.subtype, "error");
  assert.equal(alone.events[0]!.type, "output");
});

const anything = fc.oneof(
  fc.string({ unit: "binary", maxLength: 200 }),
  fc.json(),
  fc.record({
    type: fc.constantFrom(
      "assistant",
      "user",
      "system",
      "result",
      "stream_event",
      "control_request",
    ),
    subtype: fc.constantFrom("init", "success", "error", "api_retry", ""),
    message: fc.oneof(
      fc.jsonValue(),
      fc.record({ content: fc.jsonValue(), usage: fc.jsonValue() }),
    ),
    event: fc.oneof(
      fc.jsonValue(),
      fc.record({
        type: fc.constantFrom(
          "message_start",
          "message_delta",
          "content_block_delta",
          "message_stop",
        ),
        message: fc.jsonValue(),
        usage: fc.jsonValue(),
        delta: fc.jsonValue(),
      }),
    ),
    total_cost_usd: fc.jsonValue(),
    errors: fc.jsonValue(),
    request: fc.jsonValue(),
    session_id: fc.jsonValue(),
  }, { requiredKeys: ["type"] }).map((value) => JSON.stringify(value)),
  fc.record({
    id: fc.jsonValue(),
    method: fc.constantFrom("item/started", "item/completed", "turn/completed", "error", "x/y"),
    params: fc.oneof(
      fc.jsonValue(),
      fc.record({
        threadId: fc.constantFrom("", "t"),
        item: fc.record({
          type: fc.constantFrom(
            "agentMessage",
            "commandExecution",
            "reasoning",
            "mcpToolCall",
            "new",
          ),
          text: fc.jsonValue(),
          summary: fc.jsonValue(),
          exitCode: fc.jsonValue(),
        }),
        turn: fc.jsonValue(),
        error: fc.jsonValue(),
        tokenUsage: fc.jsonValue(),
      }),
    ),
  }, { requiredKeys: ["params"] }).map((value) => JSON.stringify(value)),
);

Deno.test("whatever a program says is told as valid events, and nothing unknown is dropped", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(claudeOn, codexOn),
      fc.array(anything, { maxLength: 10 }),
      (make, lines) => {
        const bench = new Bench();
        const protocol: Protocol = make(bench);
        protocol.begin?.();
        for (const line of lines) {
          const before = bench.events.length;
          protocol.line(line);
          for (const event of bench.events.slice(before)) z.parse(AgentEvent, event);
          const value = (() => {
            try {
              return JSON.parse(line);
            } catch {
              return undefined;
            }
          })();
          const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
          const isNew = isObject && value.type === undefined && value.method === "x/y";
          if ((line !== "" && !isObject) || isNew) {
            assert.deepEqual(bench.events[before], { type: "output", text: line });
          }
        }
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("lines are whole in any pieces; one that is too long comes in parts, and the next is whole again", async () => {
  await fc.assert(fc.asyncProperty(
    fc.array(fc.stringMatching(/^[a-zé]{0,40}$/), { maxLength: 8 }),
    fc.array(fc.nat(7), { minLength: 1, maxLength: 20 }),
    async (lines, cuts) => {
      const bytes = new TextEncoder().encode(lines.map((line) => `${line}\n`).join(""));
      const pieces: Uint8Array[] = [];
      for (let at = 0, turn = 0; at < bytes.length; turn++) {
        const size = 1 + cuts[turn % cuts.length]!;
        pieces.push(bytes.slice(at, at + size));
        at += size;
      }
      const found: string[] = [];
      for await (const line of readLines(ReadableStream.from(pieces))) {
        assert.ok(line.isWhole);
        found.push(line.text);
      }
      assert.deepEqual(found, lines);
    },
  ));
  const long = "x".repeat(25);
  const stream = ReadableStream.from([new TextEncoder().encode(`${long}\nnext\n`)]);
  const found = [];
  for await (const line of readLines(stream, 10)) found.push(line);
  assert.equal(found.slice(0, -1).map(({ text }) => text).join(""), long);
  assert.ok(found.slice(0, -1).every(({ isWhole }) => !isWhole));
  assert.deepEqual(found.at(-1), { text: "next", isWhole: true });
});

const shell = (script: string) => ({
  command: ["/bin/sh", "-c", script] as const,
  cwd: "/",
  env: { PATH: "/usr/bin:/bin" },
});

/** Everything until the program ends. */
async function all(events: AsyncIterable<AgentEvent>): Promise<AgentEvent[]> {
  return await Array.fromAsync(events);
}

Deno.test("each message gets one end, in order, and the next waits for it", async () => {
  const session = lineDriver({ end: /^\.$/ }).start(
    shell('while read -r line; do echo "got $line"; echo .; done'),
  );
  for (const text of ["one", "two\nlines", "three"]) session.send(text);
  const results: (string | null)[] = [];
  for await (const event of session.events) {
    if (event.type !== "end") continue;
    assert.equal(event.status, "completed");
    if (results.push(event.result) === 3) void session.close();
  }
  assert.deepEqual(results, ["got one", "got two lines", "got three"]);
});

Deno.test("a program that dies leaves no message without its end", async () => {
  const session = lineDriver({ end: /^\.$/ }).start(shell("read -r line; echo half; exit 3"));
  session.send("one");
  session.send("two");
  const events = await all(session.events);
  const ends = events.filter((event) => event.type === "end");
  assert.deepEqual(ends.map(({ status, error }) => [status, error]), [
    ["error", "the program ended with status 3"],
    ["error", "the program ended with status 3"],
  ]);
  assert.ok(events.some((event) => event.type === "text" && event.text === "half\n"));
  assert.throws(() => session.send("three"), { code: "ended" });
});

Deno.test("a line of 2 MB is told, what is said on stderr too, and quiet ends an answer", async () => {
  const session = lineDriver({ quietMs: 500 }).start(
    shell(
      "read -r line; head -c 2000000 /dev/zero | tr '\\0' x; echo; echo oops >&2; read -r line",
    ),
  );
  session.send("go");
  let result = "";
  const seen: string[] = [];
  for await (const event of session.events) {
    if (event.type === "output") seen.push(event.text);
    if (event.type !== "end") continue;
    result = event.result ?? "";
    void session.close();
  }
  assert.equal(result.length, 2_000_000);
  assert.deepEqual(seen, ["oops"]);
});

Deno.test("one that holds on is killed; what it started and its open output hold nobody up", async () => {
  const session = lineDriver({ end: /^\.$/ }).start(
    shell("trap '' TERM; sleep 7 & while true; do read -r line || sleep 0.1; done"),
  );
  session.send("one");
  const reading = all(session.events);
  await session.close(100);
  const events = await reading;
  assert.deepEqual(events.filter((event) => event.type === "end").map(({ status }) => status), [
    "cancelled",
  ]);
});

Deno.test("a program that is not there is told as such", () => {
  assert.throws(
    () => lineDriver().start({ ...shell(""), command: ["/no/such/program"] }),
    { code: "no-program" },
  );
});
