// SPDX-License-Identifier: Apache-2.0

/** History visibility: who sees which part of a room's past, through every way to ask for it. */
import assert from "node:assert/strict";
import { type Actor, enc, type Scenario } from "./world.ts";

type Visibility = "world_readable" | "shared" | "invited" | "joined";

/** What a member sees that was invited after the first message and joined after the second. */
const SEEN: Readonly<Record<Visibility, readonly string[]>> = {
  world_readable: ["before", "invited", "joined"],
  shared: ["before", "invited", "joined"],
  invited: ["invited", "joined"],
  joined: ["joined"],
};

async function bodies(actor: Actor, room: string): Promise<string[]> {
  const filter = enc(JSON.stringify({ types: ["m.room.message"] }));
  const { chunk } = await actor.get(
    `rooms/${enc(room)}/messages?dir=b&limit=100&filter=${filter}`,
  );
  return chunk.map((event: { content: { body: string } }) => event.content.body).reverse();
}

const scenario = (visibility: Visibility): Scenario => ({
  name: `history that is ${visibility} shows itself to those and nobody else`,
  async run(world) {
    const [alice, bob, carol] = await world.users("alice", "bob", "carol") as [Actor, Actor, Actor];
    const room = await alice.room({
      preset: "private_chat",
      initial_state: [{
        type: "m.room.history_visibility",
        state_key: "",
        content: { history_visibility: visibility },
      }],
    });
    const events: Record<string, string> = {};
    events["before"] = await alice.say(room, "before");
    await alice.invite(room, bob);
    events["invited"] = await alice.say(room, "invited");
    await bob.join(room);
    events["joined"] = await alice.say(room, "joined");

    const seen = SEEN[visibility];
    assert.deepEqual(await bodies(bob, room), seen);
    for (const [name, id] of Object.entries(events)) {
      const expected = seen.includes(name) ? "200" : "404 M_NOT_FOUND";
      await bob.get(`rooms/${enc(room)}/event/${enc(id)}`, expected);
      const around = `rooms/${enc(room)}/context/${enc(id)}?limit=0`;
      await bob.get(around, seen.includes(name) ? "200" : "4xx");
    }
    // Who left sees what was until then, and nothing since.
    await bob.leave(room);
    const after = await alice.say(room, "after");
    const beyond = visibility === "world_readable";
    const until = await bodies(bob, room);
    if (!beyond) assert.deepEqual(until, seen);
    await bob.get(`rooms/${enc(room)}/event/${enc(after)}`, beyond ? "200" : "404");
    // A stranger sees what the world may.
    const messages = `rooms/${enc(room)}/messages?dir=b&limit=10`;
    await carol.get(messages, beyond ? "200" : "403 M_FORBIDDEN");
    await carol.get(`rooms/${enc(room)}/state`, beyond ? "200" : "403 M_FORBIDDEN");
    await carol.get(
      `rooms/${enc(room)}/event/${enc(events["before"]!)}`,
      beyond ? "200" : "4xx",
    );
  },
});

export const visibility: readonly Scenario[] = [
  scenario("world_readable"),
  scenario("shared"),
  scenario("invited"),
  scenario("joined"),
  {
    name: "a change of visibility holds for what comes after it",
    async run(world) {
      const [alice, bob] = await world.users("alice", "bob") as [Actor, Actor];
      const room = await alice.room({ preset: "public_chat" });
      await alice.say(room, "shared");
      await alice.state(room, "m.room.history_visibility", "", { history_visibility: "joined" });
      await alice.say(room, "joined");
      await bob.join(room);
      await alice.say(room, "together");
      assert.deepEqual(await bodies(bob, room), ["shared", "together"]);
      const { rooms } = await bob.sync();
      const timeline: { content: { body?: string } }[] = rooms.join[room].timeline.events;
      const said = timeline.map((event) => event.content.body).filter((body) => body !== undefined);
      assert.ok(!said.includes("joined"), said.join());
    },
  },
];
