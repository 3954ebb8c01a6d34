// SPDX-License-Identifier: Apache-2.0

/** What not every homeserver has: search, the user directory, room upgrades. */
import assert from "node:assert/strict";
import { type Actor, enc, type Scenario } from "./world.ts";

export const optional: readonly Scenario[] = [
  {
    name: "search finds words in rooms that one is in",
    async run(world) {
      const [alice, bob] = await world.users("alice", "bob") as [Actor, Actor];
      const room = await alice.room();
      const word = world.fresh("needle").replace("-", "");
      const said = await alice.say(room, `a ${word} in the hay`);
      await alice.say(room, "only hay");
      const search = (term: string) => ({
        search_categories: { room_events: { search_term: term, order_by: "recent" } },
      });
      const found = (body: { search_categories: { room_events: { results?: unknown[] } } }) =>
        (body.search_categories.room_events.results ?? []) as { result: { event_id: string } }[];
      const own = found(await alice.post("search", search(word)));
      assert.deepEqual(own.map(({ result }) => result.event_id), [said]);
      assert.deepEqual(found(await bob.post("search", search(word))), []);
      await alice.redact(room, said);
      assert.deepEqual(found(await alice.post("search", search(word))), []);
    },
  },
  {
    name: "an upgraded room points to the one that follows it",
    async run(world) {
      const [alice, bob] = await world.users("alice", "bob") as [Actor, Actor];
      const room = await alice.room({ preset: "public_chat", room_version: "10", name: "Old" });
      await bob.join(room);
      await bob.post(`rooms/${enc(room)}/upgrade`, { new_version: "11" }, "403 M_FORBIDDEN");
      await alice.post(
        `rooms/${enc(room)}/upgrade`,
        { new_version: "none" },
        "400 M_UNSUPPORTED_ROOM_VERSION",
      );
      const { replacement_room } = await alice.post(`rooms/${enc(room)}/upgrade`, {
        new_version: "11",
      });
      const tombstone = await alice.get(`rooms/${enc(room)}/state/m.room.tombstone`);
      assert.equal(tombstone.replacement_room, replacement_room);
      const create = await alice.get(`rooms/${enc(replacement_room)}/state/m.room.create`);
      assert.equal(create.predecessor.room_id, room);
      assert.equal(create.room_version, "11");
      const name = await alice.get(`rooms/${enc(replacement_room)}/state/m.room.name`);
      assert.deepEqual(name, { name: "Old" });
      await bob.say(room, "too late").then(
        () => assert.fail("an old room is closed to ordinary members"),
        () => {},
      );
    },
  },
  {
    name: "the user directory finds those one shares a room with",
    async run(world) {
      const [alice, bob] = await world.users("alice", "bob") as [Actor, Actor];
      const room = await alice.room({ preset: "public_chat" });
      await bob.join(room);
      const deadline = Date.now() + 30_000;
      await alice.post("user_directory/search", { search_term: "zzzznobody" });
      while (true) {
        const { body } = await alice.unrecorded("POST", "user_directory/search", {
          body: { search_term: bob.localpart },
        });
        if (body.results.some((one: { user_id: string }) => one.user_id === bob.id)) break;
        assert.ok(Date.now() < deadline, "the directory does not find a member");
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    },
  },
];
