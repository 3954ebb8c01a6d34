// SPDX-License-Identifier: Apache-2.0

/** Aliases, the room directory, spaces, profiles. */
import assert from "node:assert/strict";
import { type Actor, enc, type Scenario } from "./world.ts";

export const directory: readonly Scenario[] = [
  {
    name: "an alias names one room, and goes with its owner's word",
    async run(world) {
      const [alice, bob] = await world.users("alice", "bob") as [Actor, Actor];
      const room = await alice.room({ preset: "public_chat" });
      const other = await bob.room();
      const alias = `#${world.fresh("alias")}:${world.serverName}`;
      const path = `directory/room/${enc(alias)}`;
      await alice.put(path, { room_id: room });
      assert.equal((await world.anybody().get(path)).room_id, room);
      await bob.put(path, { room_id: other }, "409");
      assert.deepEqual((await alice.get(`rooms/${enc(room)}/aliases`)).aliases, [alias]);
      await bob.get(`rooms/${enc(room)}/aliases`, "403 M_FORBIDDEN");
      await bob.post(`join/${enc(alias)}`);
      await bob.delete(path, undefined, "403 M_FORBIDDEN");
      await alice.delete(path);
      await alice.get(path, "404 M_NOT_FOUND");
      await alice.put(`directory/room/${enc("no alias")}`, { room_id: room }, "400");
    },
  },
  {
    name: "a canonical alias must lead to its room",
    async run(world) {
      const alice = await world.user("alice");
      const room = await alice.room();
      const alias = `#${world.fresh("canonical")}:${world.serverName}`;
      const put = (content: object, expected?: string) =>
        alice.state(room, "m.room.canonical_alias", "", content, expected);
      await put({ alias }, "400 M_BAD_ALIAS");
      await put({ alias: "no alias" }, "400");
      await alice.put(`directory/room/${enc(alias)}`, { room_id: room });
      await put({ alias });
      await put({ alias, alt_aliases: [`#none${alias}`] }, "400");
      await put({});
    },
  },
  {
    name: "published rooms are found by name, others are not",
    async run(world) {
      const alice = await world.user("alice");
      const word = world.fresh("word").replace("-", "");
      const room = await alice.room({
        preset: "public_chat",
        visibility: "public",
        name: `About ${word}`,
        topic: "T",
      });
      await alice.room({ preset: "public_chat", name: `Hidden ${word}` });
      const search = async () =>
        (await alice.unrecorded("POST", "publicRooms", {
          body: { filter: { generic_search_term: word }, limit: 10 },
        })).body.chunk as { room_id: string; name: string; num_joined_members: number }[];
      const found = await search();
      assert.deepEqual(found.map((one) => one.room_id), [room]);
      assert.equal(found[0]!.num_joined_members, 1);
      assert.equal((await alice.get(`directory/list/room/${enc(room)}`)).visibility, "public");
      await alice.put(`directory/list/room/${enc(room)}`, { visibility: "private" });
      assert.deepEqual(await search(), []);
      const bob = await world.user("bob");
      await bob.put(`directory/list/room/${enc(room)}`, { visibility: "public" }, "403");
    },
  },
  {
    name: "a space's hierarchy shows what one may see, in its order",
    async run(world) {
      const [alice, bob] = await world.users("alice", "bob") as [Actor, Actor];
      const make = (name: string, more: object = {}) =>
        alice.room({ name, preset: "public_chat", ...more });
      const space = await make("space", { creation_content: { type: "m.space" } });
      const nested = await make("nested", { creation_content: { type: "m.space" } });
      const [open, deep] = [await make("open"), await make("deep")];
      const closed = await make("closed", { preset: "private_chat" });
      const child = (parent: string, room: string, content: object) =>
        alice.state(parent, "m.space.child", room, content);
      const via = [world.serverName];
      await child(space, closed, { via, order: "c" });
      await child(space, open, { via, order: "b", suggested: true });
      await child(space, nested, { via, order: "a" });
      await child(nested, deep, { via });
      await child(space, `!gone:${world.serverName}`, {});
      const rooms = async (actor: Actor, query = "") =>
        (await actor.get(`/_matrix/client/v1/rooms/${enc(space)}/hierarchy${query}`)).rooms
          .map((room: { name: string }) => room.name);
      assert.deepEqual(await rooms(alice), ["space", "nested", "deep", "open", "closed"]);
      assert.deepEqual(await rooms(bob), ["space", "nested", "deep", "open"]);
      assert.deepEqual(await rooms(bob, "?max_depth=1"), ["space", "nested", "open"]);
      assert.deepEqual(await rooms(bob, "?suggested_only=true"), ["space", "open"]);
      assert.deepEqual(await rooms(bob, "?limit=2"), ["space", "nested"]);
      await bob.get(`/_matrix/client/v1/rooms/${enc(closed)}/hierarchy`, "403 M_FORBIDDEN");
    },
  },
  {
    name: "a profile is everybody's to read, its own to write, and comes into rooms",
    async run(world) {
      const [alice, bob] = await world.users("alice", "bob") as [Actor, Actor];
      const room = await alice.room();
      const path = `profile/${enc(alice.id)}`;
      await alice.put(`${path}/displayname`, { displayname: "Alice A." });
      await alice.put(`${path}/avatar_url`, { avatar_url: "mxc://example.test/abc" });
      assert.equal((await bob.get(`${path}/displayname`)).displayname, "Alice A.");
      assert.equal((await bob.get(path)).avatar_url, "mxc://example.test/abc");
      await bob.put(`${path}/displayname`, { displayname: "x" }, "4xx");
      await bob.get(
        `profile/${enc(`@${world.fresh("no")}:${world.serverName}`)}`,
        "404",
      );
      const deadline = Date.now() + 30_000;
      const member = `rooms/${enc(room)}/state/m.room.member/${enc(alice.id)}`;
      while ((await alice.unrecorded("GET", member)).body.displayname !== "Alice A.") {
        assert.ok(Date.now() < deadline, "a new name does not come into the room");
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
  },
];
