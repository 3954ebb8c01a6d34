// SPDX-License-Identifier: Apache-2.0

/** What a room is shown of a turn, where, and how often. */
import assert from "node:assert/strict";
import type { AgentEvent } from "../../src/agent/event.ts";
import type { Content } from "../../src/lib/matrix/types.ts";
import { ProxyClientError } from "../../src/lib/proxyclient/mod.ts";
import { HandClock } from "../../src/lib/testing/hand_clock.ts";
import { Progress } from "./progress.ts";

const tool = (command: string): AgentEvent => ({
  type: "tool_call",
  id: "1",
  name: "Bash",
  input: { command },
});
const prompt = (id: string): AgentEvent => ({ type: "prompt", text: "do it", id });
const END: AgentEvent = { type: "end", status: "completed", result: "", error: null };
/** Until everything that can happen has happened: nothing here waits for more than promises. */
const settled = () => new Promise((resolve) => setTimeout(resolve, 0));

function rig() {
  const sent: { thread: unknown; body: unknown }[] = [];
  const rig = { refusal: null as Error | null };
  const clock = new HandClock();
  const progress = new Progress({
    send: (_, __, content: Content) => {
      if (rig.refusal !== null) return Promise.reject(rig.refusal);
      const relation = content["m.relates_to"] as Content;
      assert.equal(relation["rel_type"], "m.thread");
      sent.push({ thread: relation["event_id"], body: content["body"] });
      return Promise.resolve("$");
    },
    find: (id) =>
      id === "typed" ? null : {
        id,
        room: "!r",
        sender: "@ada:b",
        text: "do it",
        isQuestion: false,
        thread: id === "$in" ? "$root" : null,
      },
    clock,
  });
  const tell = async (...events: AgentEvent[]) => {
    for (const event of events) progress.tell(event);
    await settled();
  };
  const next = async () => {
    await clock.next();
    await settled();
  };
  return { rig, sent, clock, tell, next };
}

Deno.test("tools and words stand below their question, several in one message; the answer does not", async () => {
  const { sent, clock, tell, next } = rig();
  await tell(prompt("$1"), tool("ls"));
  const at = clock.now();
  await tell(
    { type: "text", text: "I", partial: true },
    { type: "text", text: "I look." },
    tool("make"),
    { type: "tool_result", id: "1", output: "no\nrule", is_error: true },
    { type: "tool_result", id: "2", output: "fine", is_error: false },
    { type: "text", text: "Done." },
    END,
  );
  assert.deepEqual(sent, [{ thread: "$1", body: '▸ Bash {"command":"ls"}' }]);
  await next();
  assert.equal(clock.now() - at, 2_000);
  const body = 'I look.\n▸ Bash {"command":"make"}\n✗ no rule';
  assert.deepEqual(sent.slice(1), [{ thread: "$1", body }]);
  await tell(prompt("$in"), tool("a"), prompt("$2"), tool("b".repeat(1_000)), END);
  await next();
  assert.equal(sent[2]!.thread, "$root");
  assert.ok(String(sent[2]!.body).length < 400);
  await tell(prompt("typed"), tool("a"), END);
  assert.equal(sent.length, 3);
});

Deno.test("a homeserver that wants a pause has it; who may not write does not go on trying", async () => {
  const { rig: it, sent, clock, tell, next } = rig();
  it.refusal = new ProxyClientError("M_LIMIT_EXCEEDED", "slow", {
    status: 429,
    retryAfterMs: 30_000,
  });
  const at = clock.now();
  await tell(prompt("$1"), tool("a"), tool("b"), tool("c"));
  it.refusal = null;
  await next();
  assert.equal(clock.now() - at, 30_000);
  assert.deepEqual(sent.map(({ body }) => String(body).split("\n").length), [2]);
  it.refusal = new ProxyClientError("forbidden", "no", { status: 403 });
  await tell(tool("d"));
  await next();
  it.refusal = null;
  await tell(tool("e"));
  assert.equal(sent.length, 1);
});
