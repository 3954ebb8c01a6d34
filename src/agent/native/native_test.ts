// SPDX-License-Identifier: Apache-2.0

/** The loop against the mock of each protocol, in one process. */
import assert from "node:assert/strict";
import type { AgentEvent } from "../event.ts";
import { createModelClient } from "../model/mod.ts";
import {
  call,
  fail,
  type MockModels,
  overloaded,
  say,
  type Script,
  startModels,
  turns,
} from "../testing/model/mod.ts";
import { builtinTools, ToolBox } from "../tools/mod.ts";
import { NativeAgent, type NativeAgentOptions, Session } from "./mod.ts";

const KEY = "placeholder-0123456789";

interface Rig {
  readonly dir: string;
  readonly models: MockModels;
  readonly events: AgentEvent[];
  agent(options?: Partial<NativeAgentOptions>): NativeAgent;
  kinds(): string[];
}

async function withAgent(script: Script, use: (rig: Rig) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "native-" });
  const models = startModels({ script, keys: { anthropic: KEY, openai: KEY } });
  const events: AgentEvent[] = [];
  try {
    await use({
      dir,
      models,
      events,
      agent: (options = {}) =>
        new NativeAgent({
          client: createModelClient({
            protocol: "anthropic",
            baseUrl: `http://127.0.0.1:${models.port}`,
            key: KEY,
            random: () => 0,
          }),
          model: "claude-sonnet-4-5",
          system: "You are a test.",
          tools: new ToolBox({ tools: builtinTools, workspace: dir }),
          session: Session.inMemory(),
          emit: (event) => void events.push(event),
          ...options,
        }),
      kinds: () =>
        events.filter((event) => !("partial" in event)).map((event) =>
          event.type === "state" ? event.state : event.type
        ),
    });
  } finally {
    await models.stop();
    await Deno.remove(dir, { recursive: true });
  }
}

const never = new AbortController().signal;
const hello = { text: "hello" };

for (const protocol of ["anthropic", "openai-chat", "openai-responses"] as const) {
  Deno.test(`${protocol}: a message, files and commands, an answer`, async () => {
    const script = turns(
      call("write", { path: "a.txt", content: "one\n" }),
      {
        kind: "say",
        text: ["And now"],
        tools: [
          { name: "read", input: { path: "a.txt" } },
          { name: "bash", input: { command: "wc -l <a.txt; exit 1" } },
        ],
      },
      say("It has ", "one line."),
    );
    await withAgent(script, async ({ dir, models, agent, events, kinds }) => {
      const base = `http://127.0.0.1:${models.port}${protocol === "anthropic" ? "" : "/v1"}`;
      const it = agent({ client: createModelClient({ protocol, baseUrl: base, key: KEY }) });
      const end = await it.run(hello, never);
      assert.deepEqual(end, {
        type: "end",
        status: "completed",
        result: "It has one line.",
        error: null,
      });
      assert.equal(await Deno.readTextFile(`${dir}/a.txt`), "one\n");
      assert.deepEqual(models.asks.at(-1)!.toolResults, [
        'wrote "a.txt" (4 bytes)',
        "     1\tone",
        "1\n(exit code 1)",
      ]);
      const each = ["usage", "cost"];
      const done = ["tool_call", "tool_result"];
      assert.deepEqual(kinds(), [
        ...["session", "working", "prompt", ...each, ...done, ...each, "text"],
        ...["tool_call", "tool_call", "tool_result", "tool_result", ...each, "text", "idle", "end"],
      ]);
      const partial = events.filter((event) => event.type === "text" && event.partial)
        .map((event) => "text" in event ? event.text : "");
      assert.equal(partial.join(""), "And nowIt has one line.");
      // 3 answers of 11 tokens in and 7 out.
      const cost = events.findLast((event) => event.type === "cost")!;
      assert.equal(cost.usd.toFixed(8), (3 * (11 * 3 + 7 * 15) / 1e6).toFixed(8));
    });
  });
}

Deno.test("what the model can't be asked for ends the turn, and the next goes on", async () => {
  const script = turns(
    overloaded,
    say("one"),
    fail(401, "authentication_error", "who?"),
    say("two"),
  );
  await withAgent(script, async ({ models, agent, kinds, events }) => {
    const it = agent();
    assert.equal((await it.run(hello, never)).result, "one");
    const failed = await it.run({ text: "more" }, never);
    assert.equal(failed.status, "error");
    assert.match(failed.error!, /who\? \(401\)/);
    assert.deepEqual(kinds().slice(-2), ["failed", "end"]);
    assert.equal((await it.run({ text: "again" }, never)).result, "two");
    assert.equal(models.asks.at(-1)!.lastText, "moreagain");
    const retried = events.filter((event) => event.type === "error" && event.is_retried);
    assert.equal(retried.length, 1);
    assert.equal(events.filter(({ type }) => type === "end").length, 3);
  });
});

Deno.test("what is said meanwhile is heard at the beginning of a round, and once", async () => {
  const said: { text: string; source: string }[] = [];
  const script = turns(
    () => {
      said.push({ text: "hurry", source: "s1" });
      return call("bash", { command: "true" });
    },
    ({ lastText, toolResults }) => {
      assert.deepEqual([lastText, toolResults.length], ["hurry", 1]);
      said.push({ text: "and thanks", source: "s2" });
      return say("done");
    },
    ({ lastText }) => say(`re: ${lastText}`),
  );
  await withAgent(script, async ({ agent }) => {
    const session = Session.inMemory();
    const it = agent({ session, takeMessages: () => said.splice(0) });
    assert.equal((await it.run(hello, never)).result, "re: and thanks");
    assert.equal(session.has("s1") && session.has("s2"), true);
  });
});

Deno.test("limits: rounds, tokens, dollars; none is passed", async () => {
  const endless: Script = () => call("bash", { command: "true" });
  await withAgent(endless, async ({ models, agent }) => {
    const end = await agent({ limits: { rounds: 3 } }).run(hello, never);
    assert.equal(end.error, "Cannot go on: 3 rounds are the limit");
    assert.equal(models.asks.length, 3);
  });
  const used = { usage: { input: 1000, output: 500 } };
  const greedy: Script = (ask) => ({
    ...call("bash", { command: "true" }),
    // As long as it may be.
    usage: { input: 1000, output: Number(ask.body["max_tokens"]) },
  });
  await withAgent(greedy, async ({ models, agent }) => {
    const session = Session.inMemory();
    const end = await agent({ session, limits: { usd: 0.05 }, maxTokens: 1000 }).run(hello, never);
    assert.match(end.error!, /of \$0\.05 are spent, and the next question costs more/);
    assert.ok(session.totals.usd <= 0.05 && session.totals.usd > 0.03, `${session.totals.usd}`);
    assert.ok(
      models.asks.some(({ body }) => Number(body["max_tokens"]) < 1000),
      "the last is short",
    );
  });
  await withAgent(() => ({ ...say("x"), ...used }), async ({ models, agent }) => {
    const it = agent({ limits: { tokens: 3100 } });
    const ends = [];
    for (let at = 0; at < 4; at++) ends.push(await it.run(hello, never));
    assert.deepEqual(ends.map(({ status }) => status), [
      "completed",
      "completed",
      "error",
      "error",
    ]);
    assert.match(ends[2]!.error!, /3000 of 3100 tokens are used/);
    assert.equal(models.asks.length, 2);
  });
});

Deno.test("cancelled while it speaks, and while a command runs: both go on afterwards", async () => {
  const stop = new AbortController();
  const script = turns(
    { ...say("half ", "a word"), holdAfterFirst: new Promise(() => {}) },
    call("bash", { command: "echo begun >begun; sleep 1000" }),
    say("well"),
  );
  await withAgent(script, async ({ dir, models, agent, events }) => {
    const it = agent({
      emit: (event) => {
        events.push(event);
        if (event.type === "text" && event.text === "half ") stop.abort();
      },
    });
    assert.equal((await it.run(hello, stop.signal)).status, "cancelled");
    const again = new AbortController();
    const going = it.run({ text: "sleep" }, again.signal);
    const deadline = Date.now() + 30_000;
    while (await Deno.stat(`${dir}/begun`).catch(() => null) === null) {
      if (Date.now() > deadline) throw new Error("it did not begin");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    again.abort();
    assert.equal((await going).status, "cancelled");
    assert.equal((await it.run({ text: "go on" }, never)).result, "well");
    const [last] = models.asks.slice(-1);
    assert.deepEqual(last!.toolResults, ["(cancelled; it was killed)"]);
    assert.match(JSON.stringify(last!.body), /half /);
  });
});

Deno.test("a conversation that is too long loses its middle, and no call its result", async () => {
  const long = "word ".repeat(400);
  let tooLong = 0;
  const script: Script = (ask) => {
    const size = JSON.stringify(ask.body["messages"]).length;
    if (size > 34_000) {
      tooLong++;
      return fail(400, "invalid_request_error", "prompt is too long: 9 > 8 maximum");
    }
    if (ask.toolResults.length < 30 && ask.lastText.includes("work")) {
      return {
        ...call("bash", { command: `echo '${long}'` }),
        usage: { input: size / 4, output: 9 },
      };
    }
    return { ...say("ok"), usage: { input: Math.ceil(size / 4), output: 9 } };
  };
  await withAgent(script, async ({ dir, models, agent }) => {
    const session = await Session.open(`${dir}/s.jsonl`, "m");
    const it = agent({ session, contextWindow: 8000, maxTokens: 500, limits: { rounds: 25 } });
    assert.equal((await it.run({ text: "remember: 42" }, never)).result, "ok");
    for (let at = 0; at < 12; at++) {
      assert.equal((await it.run({ text: `turn ${at} ${long}` }, never)).result, "ok");
    }
    // In one turn there is nothing to leave out but calls with their results.
    assert.match((await it.run({ text: "now work" }, never)).error!, /25 rounds/);
    assert.equal((await it.run({ text: "and rest" }, never)).status, "completed");
    const sent = JSON.stringify(models.asks.at(-1)!.body["messages"]);
    for (const kept of ["remember: 42", "now work", "and rest", "left out here"]) {
      assert.ok(sent.includes(kept), kept);
    }
    assert.ok(!sent.includes("turn 3 "));
    assert.equal(tooLong, 0, "it was known before");
    // As one that takes more than the model does: the model's refusal is heeded.
    const blind = agent({
      session,
      contextWindow: 100_000,
      maxTokens: 500,
      limits: { rounds: 25 },
    });
    for (let at = 0; at < 12; at++) {
      assert.equal((await blind.run({ text: `more ${at} ${long}` }, never)).result, "ok");
    }
    assert.ok(tooLong > 0);
    const messages = structuredClone(session.messages);
    session[Symbol.dispose]();
    using opened = await Session.open(`${dir}/s.jsonl`, "m");
    assert.deepEqual(opened.messages, messages);
  });
});

Deno.test("a session goes on where it was killed: in a call, before the last word's end", async () => {
  const script = turns(
    call("bash", { command: "touch once" }),
    ({ toolResults }) => say(`seen: ${toolResults.length}`),
    say("still here"),
  );
  await withAgent(script, async ({ dir, agent, models }) => {
    const file = `${dir}/s.jsonl`;
    {
      // Killed with a call under way: its end is never written.
      using session = await Session.open(file, "m");
      await session.add({ role: "user", content: [{ type: "text", text: "do it" }] }, "$event");
      const use = { type: "tool_use" as const, id: "t1", name: "bash", input: {} };
      await session.add({ role: "assistant", content: [use] });
    }
    await Deno.writeTextFile(file, '{"type":"message","mess', { append: true });
    {
      using session = await Session.open(file, "m");
      assert.equal(session.openSource, "$event");
      assert.equal(session.has("$event"), true);
      const end = await agent({ session }).run(null, never);
      assert.equal(end.result, "seen: 2");
      assert.match(JSON.stringify(models.asks[0]!.body), /I was restarted meanwhile/);
      assert.equal(session.isOpen, false);
    }
    const lines = (await Deno.readTextFile(file)).trimEnd().split("\n");
    assert.equal(JSON.parse(lines.at(-1)!).type, "end");
    assert.equal((await Deno.stat(file)).mode! & 0o777, 0o600);
    // Killed after the last word, before its end was written.
    await Deno.writeTextFile(file, `${lines.slice(0, -1).join("\n")}\n`);
    using session = await Session.open(file, "m");
    assert.equal(session.openSource, "$event");
    assert.equal((await agent({ session }).run(null, never)).result, "seen: 2");
    assert.equal(models.asks.length, 2);
    assert.equal((await agent({ session }).run({ text: "there?" }, never)).result, "still here");
  });
});

Deno.test("a file that is no session is left alone", async () => {
  const dir = await Deno.makeTempDir();
  try {
    for (const [text, code] of [["# notes\n", "session-broken"], ["{}\n", "session-unknown"]]) {
      await Deno.writeTextFile(`${dir}/f`, text!);
      await assert.rejects(Session.open(`${dir}/f`, "m"), { code });
      assert.equal(await Deno.readTextFile(`${dir}/f`), text);
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
