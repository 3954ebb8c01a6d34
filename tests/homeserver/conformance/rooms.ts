// SPDX-License-Identifier: Apache-2.0

/** Making rooms, and who is in them. */
import assert from "node:assert/strict";
import { type Actor, enc, type Scenario } from "./world.ts";

interface StateEvent {
  readonly type: string;
  readonly state_key: string;
  readonly content: Record<string, unknown>;
}

/** A room's whole state, which has no order. */
async function stateOf(actor: Actor, room: string): Promise<StateEvent[]> {
  return await actor.get(`rooms/${enc(room)}/state`);
}

const find = (events: StateEvent[], type: string, key = "") =>
  events.find((event) => event.type === type && event.state_key === key)?.content;

async function membership(actor: Actor, room: string, who: Actor): Promise<unknown> {
  const all = await stateOf(actor, room);
  return find(all, "m.room.member", who.id)?.["membership"];
}

const preset = (name: string): Scenario => ({
  name: `a ${name} has the state that its preset says`,
  async run(world) {
    const alice = await world.user("alice");
    const bob = await world.user("bob");
    const room = await alice.room({ preset: name, name: "N", topic: "T", invite: [bob.id] });
    const state = await stateOf(alice, room);
    assert.equal(
      find(state, "m.room.join_rules")?.["join_rule"],
      name === "public_chat" ? "public" : "invite",
    );
    assert.equal(find(state, "m.room.history_visibility")?.["history_visibility"], "shared");
    assert.equal(find(state, "m.room.name")?.["name"], "N");
    assert.equal(find(state, "m.room.member", bob.id)?.["membership"], "invite");
  },
});

export const rooms: readonly Scenario[] = [
  preset("private_chat"),
  preset("trusted_private_chat"),
  preset("public_chat"),
  {
    name: "a room begins with everything that createRoom was given",
    async run(world) {
      const alice = await world.user("alice");
      const alias = world.fresh("given");
      const room = await alice.room({
        room_alias_name: alias,
        visibility: "public",
        name: "Given",
        room_version: "11",
        creation_content: { "m.federate": false, type: "org.example.kind" },
        power_level_content_override: { state_default: 100, events: { "org.example.a": 7 } },
        initial_state: [
          { type: "org.example.a", state_key: "k", content: { v: 1 } },
          {
            type: "m.room.history_visibility",
            state_key: "",
            content: { history_visibility: "joined" },
          },
        ],
      });
      const state = await stateOf(alice, room);
      assert.deepEqual(find(state, "org.example.a", "k"), { v: 1 });
      const create = find(state, "m.room.create")!;
      assert.equal(create["type"], "org.example.kind");
      assert.equal(create["m.federate"], false);
      assert.equal(create["room_version"], "11");
      const levels = find(state, "m.room.power_levels") as Record<string, unknown>;
      assert.equal(levels["state_default"], 100);
      assert.deepEqual(levels["events"], { "org.example.a": 7 });
      assert.equal(find(state, "m.room.history_visibility")?.["history_visibility"], "joined");
      assert.equal(
        find(state, "m.room.canonical_alias")?.["alias"],
        `#${alias}:${world.serverName}`,
      );
    },
  },
  {
    name: "createRoom refuses what cannot be",
    async run(world) {
      const alice = await world.user("alice");
      const alias = world.fresh("taken");
      await alice.room({ room_alias_name: alias });
      await alice.post("createRoom", { room_alias_name: alias }, "400 M_ROOM_IN_USE");
      const version = { room_version: "no-such-version" };
      await alice.post("createRoom", version, "400 M_UNSUPPORTED_ROOM_VERSION");
      await alice.post("createRoom", { invite: ["nobody"] }, "400");
      await alice.post("createRoom", { preset: "no-such-preset" }, "400");
      await alice.post("createRoom", { initial_state: "nothing" }, "any");
      await alice.post("createRoom", {
        power_level_content_override: { users: { [alice.id]: "100" } },
      }, "any");
      await world.anybody().post("createRoom", {}, "401 M_MISSING_TOKEN");
    },
  },
  {
    name: "an invitation lets in, once accepted; declined it is gone",
    async run(world) {
      const alice = await world.user("alice");
      const bob = await world.user("bob");
      const room = await alice.room({ preset: "private_chat" });
      await bob.join(room, "403 M_FORBIDDEN");
      await alice.invite(room, bob);
      await alice.invite(room, bob);
      assert.equal(await membership(alice, room, bob), "invite");
      await bob.leave(room);
      assert.equal(await membership(alice, room, bob), "leave");
      await bob.join(room, "403 M_FORBIDDEN");
      await alice.invite(room, bob);
      await bob.join(room);
      await bob.join(room);
      assert.equal(await membership(bob, room, bob), "join");
      await alice.invite(room, bob, "403 M_FORBIDDEN");
      await bob.leave(room);
      await bob.join(room, "403 M_FORBIDDEN");
    },
  },
  {
    name: "kicked may return where the door is open, banned may not until unbanned",
    async run(world) {
      const [alice, bob, carol] = await world.users("alice", "bob", "carol");
      const room = await alice!.room({ preset: "public_chat" });
      const act = (actor: Actor, what: string, whom: Actor, expected?: string) =>
        actor.post(`rooms/${enc(room)}/${what}`, { user_id: whom.id, reason: "test" }, expected);
      await bob!.join(room);
      await carol!.join(room);
      await act(bob!, "kick", carol!, "403 M_FORBIDDEN");
      await act(bob!, "ban", carol!, "403 M_FORBIDDEN");
      await act(alice!, "kick", bob!);
      assert.equal(await membership(alice!, room, bob!), "leave");
      await act(alice!, "kick", bob!, "403");
      await bob!.join(room);
      await act(alice!, "ban", bob!);
      await bob!.join(room, "403");
      await alice!.invite(room, bob!, "403");
      await act(carol!, "unban", bob!, "403 M_FORBIDDEN");
      await bob!.leave(room, "403 M_FORBIDDEN");
      await act(alice!, "unban", bob!);
      await bob!.join(room);
      assert.equal(await membership(bob!, room, bob!), "join");
    },
  },
  {
    name: "knocking asks to be let in",
    async run(world) {
      const [alice, bob] = await world.users("alice", "bob");
      const room = await alice!.room({
        initial_state: [{
          type: "m.room.join_rules",
          state_key: "",
          content: { join_rule: "knock" },
        }],
      });
      await bob!.join(room, "403 M_FORBIDDEN");
      await bob!.post(`knock/${enc(room)}`, { reason: "please" });
      assert.equal(await membership(alice!, room, bob!), "knock");
      const { rooms } = await bob!.sync();
      assert.ok(room in rooms.knock, "the knock is not in the sync");
      await alice!.invite(room, bob!);
      await bob!.join(room);
      const closed = await alice!.room({ preset: "private_chat" });
      await bob!.post(`knock/${enc(closed)}`, {}, "403 M_FORBIDDEN");
    },
  },
  {
    name: "a restricted room is open to members of another",
    async run(world) {
      const [alice, bob, carol] = await world.users("alice", "bob", "carol");
      const space = await alice!.room({
        preset: "public_chat",
        creation_content: { type: "m.space" },
      });
      const room = await alice!.room({
        initial_state: [{
          type: "m.room.join_rules",
          state_key: "",
          content: {
            join_rule: "restricted",
            allow: [{ type: "m.room_membership", room_id: space }],
          },
        }],
      });
      await bob!.join(space);
      await bob!.join(room);
      await carol!.join(room, "403 M_FORBIDDEN");
      const content = find(await stateOf(alice!, room), "m.room.member", bob!.id)!;
      assert.equal(content["join_authorised_via_users_server"], alice!.id);
    },
  },
  {
    name: "members are listed by membership, and strangers see none",
    async run(world) {
      const [alice, bob, carol, dora] = await world.users("alice", "bob", "carol", "dora");
      const room = await alice!.room({ preset: "public_chat", invite: [carol!.id] });
      await bob!.join(room);
      await bob!.leave(room);
      const listed = async (query: string) =>
        (await alice!.get(`rooms/${enc(room)}/members${query}`)).chunk
          .map((event: StateEvent) => event.state_key).sort();
      assert.deepEqual(await listed("?membership=join"), [alice!.id]);
      assert.deepEqual(await listed("?not_membership=leave"), [alice!.id, carol!.id].sort());
      assert.equal((await listed("")).length, 3);
      const { joined } = await alice!.get(`rooms/${enc(room)}/joined_members`);
      assert.deepEqual(Object.keys(joined), [alice!.id]);
      await dora!.get(`rooms/${enc(room)}/members`, "403 M_FORBIDDEN");
      await dora!.get(`rooms/${enc(room)}/joined_members`, "403 M_FORBIDDEN");
      await dora!.get(`rooms/${enc(room)}/state`, "403 M_FORBIDDEN");
      assert.deepEqual((await alice!.get("joined_rooms")).joined_rooms, [room]);
      assert.deepEqual((await bob!.get("joined_rooms")).joined_rooms, []);
    },
  },
  {
    name: "a room is forgotten only after leaving it",
    async run(world) {
      const alice = await world.user("alice");
      const room = await alice.room();
      await alice.post(`rooms/${enc(room)}/forget`, {}, "400");
      await alice.leave(room);
      await alice.get(`rooms/${enc(room)}/messages?dir=b`);
      await alice.post(`rooms/${enc(room)}/forget`);
      await alice.get(`rooms/${enc(room)}/messages?dir=b`, "403 M_FORBIDDEN");
    },
  },
  {
    name: "what is no room and no user is refused",
    async run(world) {
      const alice = await world.user("alice");
      const room = await alice.room();
      const nowhere = `!nowhere:${world.serverName}`;
      await alice.post(`join/${enc("neither-id-nor-alias")}`, {}, "400");
      await alice.post(`join/${enc(`#${world.fresh("none")}:${world.serverName}`)}`, {}, "404");
      await alice.get(`rooms/${enc(nowhere)}/state`, "403 M_FORBIDDEN");
      await alice.trySend(nowhere, { body: "x" }, "m.room.message", "403 M_FORBIDDEN");
      await alice.post(`rooms/${enc(room)}/invite`, { user_id: "nobody" }, "400");
      await alice.post(`rooms/${enc(room)}/invite`, {}, "400");
    },
  },
];
