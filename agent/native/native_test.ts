// SPDX-License-Identifier: Apache-2.0

/** What the program makes of its payload, and of messages that come at any time. */
import assert from "node:assert/strict";
import { createModelClient } from "../../src/agent/model/mod.ts";
import { say, type Script, startModels, turns } from "../../src/agent/testing/model/mod.ts";
import { Recorder } from "../../src/agent/recorder/mod.ts";
import { ALICE, BOB, makeBed } from "../../src/services/agent/testing/bed.ts";
import { ToolBox } from "../../src/agent/tools/mod.ts";
import type { Message } from "../room/room.ts";
import { Pump } from "../room/pump.ts";
import { readConfig } from "./config.ts";
import { NativeEngine } from "./engine.ts";

/** No service fills the role. */
const NOBODY = { program: "native", socket: "/nowhere", tokenFile: "/nowhere" };
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
  /** Another program, with the same file unless it has a home of its own. */
  open(recorder?: Recorder, home?: string): Promise<Pump>;
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
      open: async (recorder = new Recorder(NOBODY), home = "home") => {
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
          sessionFile: `${dir}/${home}/session.jsonl`,
          recorder,
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

Deno.test("with the agent service: a lost home, a fork, and what another begins from it", async () => {
  const counts = ({ body, lastText }: { body: Record<string, unknown>; lastText: string }) =>
    say(`${(body["messages"] as unknown[]).length}: ${lastText.replace(/^.*: /, "")}`);
  await using bed = await makeBed();
  const recorders: Recorder[] = [];
  const recorder = async (subject: string) => {
    const tokenFile = `${bed.dir}/${subject.replaceAll("/", "_")}.token`;
    const grants = [{ actions: ["service/agent/read"], targets: ["**:**"] }];
    await Deno.writeTextFile(tokenFile, await bed.token(subject, grants));
    const made = new Recorder({ program: "native", socket: bed.socket, tokenFile });
    recorders.push(made);
    return made;
  };
  const { context } = bed.store;
  /** All of them, when the newest says this. */
  const committed = async (subject: string, summary: string) => {
    const deadline = Date.now() + 60_000;
    while (Date.now() < deadline) {
      const { commits } = context.list(subject, 100, Number.MAX_SAFE_INTEGER);
      if (commits[0]?.summary === summary) return commits;
      await new Promise((done) => setTimeout(done, 10));
    }
    throw new Error(`${subject} has no commit "${summary}"`);
  };
  await withAgent(counts, async ({ open, answered, answers }) => {
    const first = await open(await recorder(ALICE));
    first.hear([message("$1", "one")]);
    await answered(1);
    first.hear([message("$2", "two")]);
    await answered(2);
    const [two, one] = await committed(ALICE, "3: two");
    assert.deepEqual([one!.type, two!.type, two!.parent], ["snapshot", "delta", one!.id]);
    assert.deepEqual([one!.messages, two!.messages, two!.summary], [2, 4, "3: two"]);

    // Of its home nothing is left: it goes on, in the same session, and knows what it answered.
    await recorders[0]!.close(60_000);
    const again = await open(await recorder(ALICE), "new-home");
    again.hear([message("$2", "two"), message("$3", "three")]);
    await answered(4);
    assert.deepEqual(answers.slice(2).map(([, text]) => text), ["3: two", "5: three"]);
    const commits = await committed(ALICE, "5: three");
    assert.deepEqual(new Set(commits.map(({ session_id }) => session_id)).size, 1);
    assert.equal(bed.store.sessions.metrics(ALICE).sessions, 1);

    // An operator lets another one begin where it was after its first turn.
    const operator = await bed.client("@operator:s", [{
      actions: ["service/agent/**"],
      targets: ["**:**"],
    }]);
    const fork = { type: "delta", format: "bureau-agent-v1", session_id: null } as const;
    const put = (agent: string, parent: string) =>
      operator.call("checkpoint", {
        params: { agent },
        bytes: new TextEncoder().encode(
          `${JSON.stringify({ ...fork, parent, checkpoint: "explicit" })}\n`,
        ),
      });
    await put(BOB, one!.id);
    const other = await open(await recorder(BOB), "bobs-home");
    other.hear([message("$4", "four")]);
    await answered(5);
    assert.deepEqual(answers[4], ["$4", "3: four"]);
    // Back to there, when it begins anew; without a fork that is a beginning from nothing.
    await put(ALICE, one!.id);
    again.hear([message("$5", "!new"), message("$6", "six")]);
    await answered(7);
    assert.deepEqual(answers[6], ["$6", "3: six"]);
    await committed(ALICE, "3: six");
    again.hear([message("$7", "!new"), message("$8", "eight")]);
    await answered(9);
    assert.deepEqual(answers[8], ["$8", "1: eight"]);
    await committed(ALICE, "1: eight");
  });
  await Promise.all(recorders.slice(1).map((each) => each.close(60_000)));
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
