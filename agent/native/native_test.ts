// SPDX-License-Identifier: Apache-2.0

/** What the program makes of its payload, and of messages that come at any time. */
import assert from "node:assert/strict";
import { createModelClient } from "../../src/agent/model/mod.ts";
import { say, type Script, startModels, turns } from "../../src/agent/testing/model/mod.ts";
import { ToolBox } from "../../src/agent/tools/mod.ts";
import { readConfig } from "./config.ts";
import { Desk } from "./desk.ts";

const KEY = "placeholder-0123456789";
const message = (id: string, text: string) => ({
  message: { id, room: "!r", sender: "@ada:example.org", text, isQuestion: false },
  text: `@ada:example.org: ${text}`,
});

interface Rig {
  readonly answers: [string, string][];
  readonly dir: string;
  /** Another program with the same file. */
  open(): Promise<Desk>;
  /** Until so many answers were given. */
  answered(count: number): Promise<void>;
}

async function withDesk(script: Script, use: (rig: Rig) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "desk-" });
  const models = startModels({ script, keys: { anthropic: KEY, openai: KEY } });
  const stop = new AbortController();
  const working: Promise<void>[] = [];
  const answers: [string, string][] = [];
  let heard = Promise.withResolvers<void>();
  try {
    await use({
      answers,
      dir,
      open: async () => {
        const desk = await Desk.open({
          agent: {
            client: createModelClient({
              protocol: "anthropic",
              baseUrl: `http://127.0.0.1:${models.port}`,
              key: KEY,
            }),
            model: "claude-sonnet-4-5",
            system: "You are a test.",
            tools: new ToolBox({ tools: [], workspace: dir }),
          },
          sessionFile: `${dir}/home/session.jsonl`,
          emit: () => {},
          answer: (to, text) => {
            answers.push([to.id, text]);
            heard.resolve();
            return Promise.resolve();
          },
        });
        working.push(desk.work(stop.signal));
        return desk;
      },
      answered: async (count) => {
        while (answers.length < count) {
          await heard.promise;
          heard = Promise.withResolvers();
        }
      },
    });
  } finally {
    stop.abort();
    await Promise.all(working);
    await models.stop();
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("one turn after the other; what comes meanwhile is part of the turn; a new beginning", async () => {
  const desk = Promise.withResolvers<Desk>();
  const script = turns(
    async () => {
      (await desk.promise).add(message("$2", "and hurry"));
      return say("wait");
    },
    ({ lastText }) => say(`both: ${lastText}`),
    ({ body }) => say(`anew: ${(body["messages"] as unknown[]).length}`),
  );
  await withDesk(script, async ({ open, answered, answers, dir }) => {
    const it = await open();
    desk.resolve(it);
    it.add(message("$1", "hello"));
    await answered(1);
    assert.deepEqual(answers, [["$2", "both: @ada:example.org: and hurry"]]);
    it.add(message("$3", "!new"), message("$4", "hello"));
    await answered(3);
    assert.deepEqual(answers.slice(1), [["$3", "I begin anew."], ["$4", "anew: 1"]]);
    const names = (await Array.fromAsync(Deno.readDir(`${dir}/home`))).map(({ name }) => name);
    assert.equal(names.filter((name) => /^session\.jsonl\.\d+$/.test(name)).length, 1);
  });
});

Deno.test("stopped: the turn ends, the next begins; a failure is told", async () => {
  const desk = Promise.withResolvers<Desk>();
  const script = turns(
    async () => {
      (await desk.promise).interrupt();
      return { ...say("never"), holdAfterFirst: new Promise(() => {}) };
    },
    { kind: "fail", status: 401, type: "authentication_error", message: "who?" },
    say("well"),
  );
  await withDesk(script, async ({ open, answered, answers }) => {
    const it = await open();
    desk.resolve(it);
    for (const [at, id] of ["$1", "$2", "$3"].entries()) {
      it.add(message(id, "hello"));
      await answered(at + 1);
    }
    assert.deepEqual(answers[0], ["$1", "Stopped."]);
    assert.match(answers[1]![1], /^I failed: Cannot ask the model: who\? \(401\)$/);
    assert.deepEqual(answers[2], ["$3", "well"]);
  });
});

Deno.test("an answer that was never sent is sent after a restart, and not asked for again", async () => {
  await withDesk(turns(say("here"), say("other")), async ({ open, answered, answers }) => {
    (await open()).add(message("$1", "hello"));
    await answered(1);
    // Killed before the room had it: the message has no answer there.
    (await open()).add(message("$1", "hello"), message("$2", "more"));
    await answered(3);
    assert.deepEqual(answers, [["$1", "here"], ["$1", "here"], ["$2", "other"]]);
  });
});

Deno.test("a payload that can't be used is refused by its field", () => {
  const config = readConfig({
    model: "m",
    limits: { usd: 2 },
    mcp_servers: { a: { command: "b" } },
  });
  assert.deepEqual(config.limits, { usd: 2 });
  assert.deepEqual([config.protocol, config.service, config.mcp.length], [
    "anthropic",
    "anthropic",
    1,
  ]);
  assert.equal(readConfig({ model: "m", protocol: "openai-chat" }).service, "openai");
  for (
    const [payload, why] of [
      [{}, /"model" of the payload: it is missing/],
      [{ model: 7 }, /"model".*no text/],
      [{ model: "m", protocol: "grpc" }, /"protocol".*none of anthropic/],
      [{ model: "m", limits: { rounds: "many" } }, /"rounds".*no number from 1/],
      [{ model: "m", limits: [] }, /"limits".*no object/],
      [{ model: "m", disabled_tools: "bash" }, /"disabled_tools".*no list/],
      [{ model: "m", enforce_permissions: "yes" }, /"enforce_permissions".*neither/],
      [{ model: "m", mcp_servers: { a: {} } }, /"a": it has neither command nor url/],
    ] as const
  ) assert.throws(() => readConfig(payload), why);
});
