// SPDX-License-Identifier: Apache-2.0

/** What the program makes of its payload, and of messages that come at any time. */
import assert from "node:assert/strict";
import { createModelClient } from "../../src/agent/model/mod.ts";
import { say, type Script, startModels, turns } from "../../src/agent/testing/model/mod.ts";
import { ToolBox } from "../../src/agent/tools/mod.ts";
import type { Message } from "../room/room.ts";
import { Pump } from "../room/pump.ts";
import { readConfig } from "./config.ts";
import { NativeEngine } from "./engine.ts";

const KEY = "placeholder-0123456789";
const message = (id: string, text: string): Message => ({
  id,
  room: "!r",
  sender: "@ada:example.org",
  text,
  isQuestion: false,
  thread: null,
});

interface Rig {
  readonly answers: [string, string][];
  readonly dir: string;
  /** Another program with the same file. */
  open(): Promise<Pump>;
  /** Until so many answers were given. */
  answered(count: number): Promise<void>;
}

async function withAgent(script: Script, use: (rig: Rig) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "native-" });
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
        const engine = await NativeEngine.open({
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
        });
        const pump = new Pump({
          engine,
          steering: "asker",
          answer: (to, text) => {
            answers.push([to.map(({ id }) => id).join(), text]);
            heard.resolve();
            return Promise.resolve();
          },
        });
        working.push(pump.work(stop.signal));
        return pump;
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

Deno.test("what comes meanwhile is in the very next question to the model; a new beginning", async () => {
  const pump = Promise.withResolvers<Pump>();
  const script = turns(
    async () => {
      (await pump.promise).hear([message("$2", "and hurry"), message("$3", "please")]);
      return say("wait");
    },
    ({ lastText }) => say(`all: ${lastText}`),
    ({ body }) => say(`anew: ${(body["messages"] as unknown[]).length}`),
  );
  await withAgent(script, async ({ open, answered, answers, dir }) => {
    const it = await open();
    pump.resolve(it);
    it.hear([message("$1", "hello")]);
    await answered(1);
    const [ids, text] = answers[0]!;
    assert.equal(ids, "$1,$2,$3");
    assert.match(text, /^all: [^]*: and hurry[^]*: please$/);
    it.hear([message("$4", "!new"), message("$5", "hello")]);
    await answered(3);
    assert.deepEqual(answers.slice(1), [["$4", "I begin anew."], ["$5", "anew: 1"]]);
    const names = (await Array.fromAsync(Deno.readDir(`${dir}/home`))).map(({ name }) => name);
    assert.equal(names.filter((name) => /^session\.jsonl\.\d+$/.test(name)).length, 1);
  });
});

Deno.test("stopped: the turn ends, the next begins; a failure is told", async () => {
  const pump = Promise.withResolvers<Pump>();
  const script = turns(
    async () => {
      (await pump.promise).hear([message("$0", "!stop")]);
      return { ...say("never"), holdAfterFirst: new Promise(() => {}) };
    },
    { kind: "fail", status: 401, type: "authentication_error", message: "who?" },
    say("well"),
  );
  await withAgent(script, async ({ open, answered, answers }) => {
    const it = await open();
    pump.resolve(it);
    for (const [at, id] of ["$1", "$2", "$3"].entries()) {
      it.hear([message(id, "hello")]);
      await answered(at + 1);
    }
    assert.deepEqual(answers[0], ["$1", "Stopped."]);
    assert.match(answers[1]![1], /^I failed: Cannot ask the model: who\? \(401\)$/);
    assert.deepEqual(answers[2], ["$3", "well"]);
  });
});

Deno.test("an answer that was never sent is sent after a restart, and not asked for again", async () => {
  await withAgent(turns(say("here"), say("other")), async ({ open, answered, answers }) => {
    (await open()).hear([message("$1", "hello")]);
    await answered(1);
    // Killed before the room had it: the message has no answer there.
    (await open()).hear([message("$1", "hello")]);
    await answered(2);
    const again = await open();
    again.hear([message("$1", "hello"), message("$2", "!queue more")]);
    await answered(4);
    assert.deepEqual(answers.map(([id, text]) => `${id} ${text}`), [
      ...["$1 here", "$1 here", "$1 here"],
      "$2 other",
    ]);
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
