// SPDX-License-Identifier: Apache-2.0

/** Agents in one room: who is asked, what comes back to whom, and that it ends. */
import assert from "node:assert/strict";
import type { Content, MatrixEvent } from "../../src/lib/matrix/types.ts";
import type { ProxyClient } from "../../src/lib/proxyclient/mod.ts";
import { ProxyClientError } from "../../src/lib/proxyclient/mod.ts";
import { Rooms } from "./rooms.ts";
import { calledFirst, isInterrupt, isProgram } from "./talk.ts";

const ANN = "@ann:b";
const ADA = "@bureau/fleet/dev/agent/ada:b";
const BEN = "@bureau/fleet/dev/agent/ben:b";

/** Rooms at a homeserver, as their members see them. */
class Homeserver {
  readonly rooms = new Map<string, { events: MatrixEvent[]; maker: string; members: string[] }>();
  readonly #sent = new Map<string, string>();

  make(room: string, maker: string, ...members: string[]): void {
    this.rooms.set(room, { events: [], maker, members: [maker, ...members] });
  }

  say(room: string, sender: string, body: string, more: Content = {}): string {
    const { events } = this.rooms.get(room)!;
    const event_id = `$${room}-${events.length}`;
    const content = { msgtype: "m.text", body, ...more };
    events.push({ type: "m.room.message", sender, event_id, content });
    return event_id;
  }

  bodies(room: string): string[] {
    return this.rooms.get(room)!.events.map(({ content }) => String(content["body"]));
  }

  client(me: string): ProxyClient {
    const of = (room: string) => {
      const found = this.rooms.get(room)!;
      if (found.members.includes(me)) return found;
      throw new ProxyClientError("M_FORBIDDEN", "not a member", {
        status: 403,
        errcode: "M_FORBIDDEN",
      });
    };
    const matrix = {
      joinedRooms: async () =>
        await [...this.rooms].flatMap(([id, { members }]) => members.includes(me) ? [id] : []),
      members: async (room: string) => await of(room).members,
      roomState: async (room: string) =>
        await [{ type: "m.room.create", state_key: "", sender: of(room).maker, content: {} }],
      messages: async (room: string, { from, limit }: { from?: string; limit: number }) => {
        const { events } = of(room);
        const end = from === undefined ? events.length : Number(from);
        const start = Math.max(0, end - Math.min(limit, 3));
        const chunk = events.slice(start, end).reverse();
        return await { chunk, start: "", ...(start > 0 ? { end: String(start) } : {}) };
      },
      send: async (room: string, _: string, content: Content, txn: string) => {
        of(room);
        const key = `${me} ${txn}`;
        const known = this.#sent.get(key) ?? this.say(room, me, "", content);
        this.#sent.set(key, known);
        return await known;
      },
    };
    return { matrix } as unknown as ProxyClient;
  }
}

/** An agent that answers by `reply`, or does not by null. */
function agent(
  homeserver: Homeserver,
  me: string,
  own: string,
  reply: (text: string) => string,
  chain?: number,
) {
  const open = () =>
    new Rooms(homeserver.client(me), own, me, chain === undefined ? {} : { chain });
  let rooms = open();
  return {
    tasks: [] as string[],
    async turn(): Promise<boolean> {
      const messages = await rooms.unanswered();
      for (const message of messages) {
        this.tasks.push(message.text);
        await rooms.answer([message], reply(message.text), null);
      }
      return messages.length > 0;
    },
    restart() {
      rooms = open();
    },
  };
}

type Agent = ReturnType<typeof agent>;

async function untilQuiet(...agents: Agent[]): Promise<void> {
  for (let turn = 0; turn < 200; turn++) {
    let busy = false;
    for (const each of agents) busy = await each.turn() || busy;
    if (!busy) return;
  }
  throw new Error("they talk for ever");
}

function team(): Homeserver {
  const homeserver = new Homeserver();
  homeserver.make("!ada", ANN, ADA);
  homeserver.make("!ben", ANN, BEN);
  homeserver.make("!team", ANN, ADA, BEN);
  return homeserver;
}

Deno.test("one agent asks another, has its answer, and reports to the person", async () => {
  const homeserver = team();
  const ada = agent(
    homeserver,
    ADA,
    "!ada",
    (text) => /^@ada/.test(text) ? "@ben: how many lines?" : `Ben says: ${text}`,
  );
  const ben = agent(homeserver, BEN, "!ben", () => "Twelve.");
  homeserver.say("!team", ANN, "@ada: find out how many lines");
  await untilQuiet(ada, ben);
  ada.restart();
  ben.restart();
  await untilQuiet(ada, ben);
  assert.deepEqual(homeserver.bodies("!team"), [
    "@ada: find out how many lines",
    "@ben: how many lines?",
    "Twelve.",
    "Ben says: Twelve.",
  ]);
  assert.deepEqual(ada.tasks, ["@ada: find out how many lines", "Twelve."]);
  assert.deepEqual(ben.tasks, ["@ben: how many lines?"]);
});

Deno.test("who asked has the answer also when it took another's help", async () => {
  const homeserver = team();
  const CY = "@bureau/fleet/dev/agent/cy:b";
  homeserver.rooms.get("!team")!.members.push(CY);
  homeserver.make("!cy", ANN, CY);
  const ada = agent(homeserver, ADA, "!ada", (text) => /^@ada/.test(text) ? "@ben, go" : text);
  const ben = agent(homeserver, BEN, "!ben", (text) => /^@ben/.test(text) ? "@cy: go" : text);
  const cy = agent(homeserver, CY, "!cy", () => "done by Cy");
  homeserver.say("!team", ANN, "@ada go");
  await untilQuiet(ada, ben, cy);
  assert.deepEqual(homeserver.bodies("!team").slice(3), ["done by Cy", "done by Cy", "done by Cy"]);
  assert.deepEqual(ada.tasks, ["@ada go", "done by Cy"]);
});

Deno.test("agents that go on asking end at the bound, and a person's word lets them go on", async () => {
  const run = async (chain: number) => {
    const homeserver = team();
    const ada = agent(homeserver, ADA, "!ada", () => "@ben: and you?", chain);
    const ben = agent(homeserver, BEN, "!ben", () => "@ada: and you?", chain);
    const asked = () => homeserver.bodies("!team").filter((body) => /and you/.test(body)).length;
    homeserver.say("!team", ANN, "@ada: begin");
    await untilQuiet(ada, ben);
    const first = asked();
    ada.restart();
    ben.restart();
    await untilQuiet(ada, ben);
    assert.equal(asked(), first);
    const left = homeserver.bodies("!team").filter((body) => body.startsWith("I leave that"));
    assert.equal(left.length, 1);
    homeserver.say("!team", ANN, "@ben: again");
    await untilQuiet(ada, ben);
    return [first, asked()];
  };
  assert.deepEqual(await run(3), [4, 8]);
  assert.deepEqual(await run(8), [9, 18]);
  // Without one they would never come to an end.
  await assert.rejects(run(Infinity), /for ever/);
});

Deno.test("messages that an agent sends by itself count, too", async () => {
  const homeserver = team();
  const ada = agent(homeserver, ADA, "!ada", () => "Fine.", 2);
  const call = () => homeserver.say("!team", BEN, "x", { "m.mentions": { user_ids: [ADA] } });
  homeserver.say("!team", ANN, "good morning");
  for (let count = 0; count < 5; count++) {
    call();
    await ada.turn();
  }
  assert.equal(ada.tasks.length, 1);
});

Deno.test("in a room that is not its own it listens to what calls it, and to nobody in a stranger's", async () => {
  const homeserver = team();
  homeserver.make("!strange", "@eve:b", ADA);
  const ada = agent(homeserver, ADA, "!ada", () => "Yes.");
  homeserver.say("!ada", ANN, "in my own room");
  homeserver.say("!team", ANN, "to nobody");
  homeserver.say("!team", ANN, "to another", { "m.mentions": { user_ids: [BEN] } });
  homeserver.say("!team", ANN, "by mention", { "m.mentions": { user_ids: [BEN, ADA] } });
  homeserver.say("!team", ANN, `${ADA}: by name`);
  homeserver.say("!strange", "@eve:b", "obey", { "m.mentions": { user_ids: [ADA] } });
  // Notices are nobody's task, also of a person or without a question.
  const mentions = { msgtype: "m.notice", "m.mentions": { user_ids: [ADA] } };
  homeserver.say("!team", ANN, "noted", {
    ...mentions,
    "m.relates_to": { "m.in_reply_to": { event_id: "$x" } },
  });
  homeserver.say("!team", BEN, "noted", mentions);
  await untilQuiet(ada);
  assert.deepEqual(ada.tasks, ["in my own room", "by mention", `${ADA}: by name`]);
  homeserver.rooms.get("!team")!.members.splice(1);
  homeserver.say("!ada", ANN, "still there?");
  await untilQuiet(ada);
  assert.equal(ada.tasks.at(-1), "still there?");
});

Deno.test("names at the beginning", () => {
  const users = [ADA, BEN, "@bureau/fleet/dev/agent/sub/ben2:b"];
  for (
    const text of [
      "@ada: x",
      "@ada, x",
      "@ada x",
      "@agent/ada: x",
      `${ADA} x`,
      `${ADA}: x`,
      " @ada",
    ]
  ) {
    assert.equal(calledFirst(text, users), ADA, text);
  }
  for (const text of ["ada: x", "@ad: x", "x @ada", "@: x", "@", "", "@ann: x", "@da"]) {
    assert.equal(calledFirst(text, users), null, text);
  }
  assert.equal(calledFirst("@ada", [ADA, ADA.replace("dev", "prod")]), null);
  assert.ok([" !stop", "@ada: !stop", `${ADA} !stop `].every(isInterrupt));
  assert.ok(!["do !stop", "@ada: do !stop", "!stop it"].some(isInterrupt));
  assert.deepEqual([ADA, ANN, "@x", "nonsense"].map(isProgram), [true, false, false, false]);
});
