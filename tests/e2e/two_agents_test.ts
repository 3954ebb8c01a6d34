// SPDX-License-Identifier: Apache-2.0

/** Two agents in one room, as docs/guide/two-agents.md has it: one asks, the other answers, the first reports; and it ends. */
import assert from "node:assert/strict";
import { call, fail, say, startModels } from "../../src/agent/testing/model/mod.ts";
import {
  answerTo,
  createAgent,
  type ModelService,
  publishTemplate,
  questionOf,
  write,
} from "./agents.ts";
import { type Bureau, eventually, step, withBureau } from "./harness.ts";
import { type MatrixEvent, messages, roomId } from "./matrix.ts";

const KEY = `sk-${crypto.randomUUID()}`;

Deno.test("two agents talk in one room, and come to an end", async (t) => {
  const models = startModels({
    keys: { anthropic: KEY, openai: KEY },
    script: ({ lastText, toolResults }) => {
      if (/@operator\S*: @ada: COUNT/.test(lastText)) {
        return say("@ben: how many lines has README.md?");
      }
      if (/ada:\S+: @ben: how many/.test(lastText)) {
        return toolResults.length === 0
          ? call("bash", { command: "wc -l <README.md" })
          : say(`It has ${toolResults.at(-1)!.trim().split("\n").at(-1)} lines.`);
      }
      const told = /ben:\S+: (It has .*)$/.exec(lastText)?.[1];
      if (told !== undefined) return say(`Ben has counted. ${told}`);
      if (/@operator\S*: @ada: PING/.test(lastText)) return say("@ben: ping");
      if (/: @ben: ping$/.test(lastText)) return say("@ada: ping");
      if (/: @ada: ping$/.test(lastText)) return say("@ben: ping");
      return fail(400, "invalid_request_error", `no turn for "${lastText}"`);
    },
  });
  const model: ModelService = {
    service: "anthropic",
    credential: "anthropic",
    url: `http://127.0.0.1:${models.port}`,
    key: KEY,
  };
  try {
    await withBureau(async (bureau) => {
      const cli = async (...words: string[]) => {
        const { code, stdout, stderr } = await bureau.cli(...words);
        assert.equal(code, 0, stdout + stderr);
        return stdout;
      };
      const up = await bureau.up("--detach", "--no-agent");
      assert.equal(up.code, 0, up.stderr);
      const template = await publishTemplate(bureau, "talker", "agent-native", model);
      // Ben would go on for longer: where it ends, Ada ended it.
      for (const [name, chain] of [["ada", 4], ["ben", 7]] as const) {
        const payload = JSON.stringify({ agent_chain: chain });
        await createAgent(bureau, name, template, model, "--payload", payload);
      }
      await cli("agent", "join", "ada", "room/team");
      assert.match(await cli("agent", "join", "ben", "room/team"), /it listens to what calls it/);
      assert.match(await cli("agent", "join", "ben", "room/team"), /nothing changed/);
      const room = await roomId(bureau, "bureau/fleet/dev/room/team");

      await step(t, bureau, "one asks the other, and reports to the person", async () => {
        const id = await write(bureau, room, "@ada: COUNT the lines");
        assert.equal(await answerTo(bureau, room, id), "@ben: how many lines has README.md?");
        await eventually("Ada reports", async () => {
          const last = (await messages(bureau, room)).at(-1)!;
          return last.content["body"] === "Ben has counted. It has 3 lines.";
        }, 120_000);
        const said = (await messages(bureau, room)).map(({ sender, content }) =>
          `${/\w+(?=:)/.exec(sender)?.[0]} ${content["msgtype"]}`
        );
        assert.deepEqual(said, ["operator m.text", "ada m.text", "ben m.notice", "ada m.notice"]);
      });

      await step(t, bureau, "who only asks on is ended by the bound", async () => {
        const id = await write(bureau, room, "@ada: PING each other");
        const left = await eventually(
          "one leaves it",
          async () =>
            (await messages(bureau, room)).find(({ content }) =>
              String(content["body"]).startsWith("I leave that")
            ),
          180_000,
        );
        assert.match(left.sender, /ada/);
        assert.match(String(left.content["body"]), /4 times since a person/);
        const chain = await chainFrom(bureau, room, id);
        // The fifth was Ben's to take, and the sixth Ada's to leave.
        assert.deepEqual(
          chain.map(({ content }) => content["body"]),
          ["@ben: ping", "@ada: ping", "@ben: ping", "@ada: ping", "@ben: ping", "@ada: ping"],
        );
      });

      await step(t, bureau, "who has left the room is asked no more", async () => {
        assert.match(await cli("agent", "leave", "ben", "room/team"), /has left/);
        const own = await bureau.cli("agent", "leave", "ben", "agent/ben");
        assert.equal(own.code, 2, own.stdout);
        const id = await write(bureau, room, "@ada: PING once more");
        assert.equal(await answerTo(bureau, room, id), "@ben: ping");
        const asked = (await messages(bureau, room)).at(-1)!;
        assert.equal(asked.content["msgtype"], "m.notice");
        assert.equal(asked.content["m.mentions"], undefined);
      });
    });
  } finally {
    await models.stop();
  }
});

/** A message's answer, the answer to that, and so on. */
async function chainFrom(bureau: Bureau, room: string, id: string): Promise<MatrixEvent[]> {
  const all = await messages(bureau, room);
  const chain: MatrixEvent[] = [];
  while (true) {
    const at = chain.at(-1)?.event_id ?? id;
    const next = all.find((event) => questionOf(event) === at);
    if (next === undefined) return chain;
    chain.push(next);
  }
}
