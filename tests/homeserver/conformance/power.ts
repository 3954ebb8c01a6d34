// SPDX-License-Identifier: Apache-2.0

/** Power levels and the authorisation rules of room version 11. */
import assert from "node:assert/strict";
import { type Actor, enc, type Scenario, type World } from "./world.ts";

const LEVELS = "m.room.power_levels";

/** A room of alice (100) with bob (50) and carol (0). */
async function threeLevels(world: World, override: object = {}) {
  const [alice, bob, carol] = await world.users("alice", "bob", "carol") as [Actor, Actor, Actor];
  const room = await alice.room({
    preset: "public_chat",
    power_level_content_override: { users: { [alice.id]: 100, [bob.id]: 50 }, ...override },
  });
  await bob.join(room);
  await carol.join(room);
  const levels = await alice.get(`rooms/${enc(room)}/state/${LEVELS}`);
  return { alice, bob, carol, room, levels };
}

const FORBIDDEN = "403 M_FORBIDDEN";

export const power: readonly Scenario[] = [
  {
    name: "an event needs the level of its type, of state, or of events",
    async run(world) {
      const { alice, bob, carol, room } = await threeLevels(world, {
        events: { "org.example.high": 75, "org.example.low": 0, "org.example.state": 0 },
        events_default: 10,
        state_default: 50,
      });
      await carol.trySend(room, {}, "org.example.low");
      await carol.trySend(room, {}, "org.example.other", FORBIDDEN);
      await bob.trySend(room, {}, "org.example.other");
      await bob.trySend(room, {}, "org.example.high", FORBIDDEN);
      await alice.trySend(room, {}, "org.example.high");
      await carol.state(room, "org.example.state", "", {});
      await carol.state(room, "org.example.topic", "", {}, FORBIDDEN);
      await bob.state(room, "org.example.topic", "", {});
    },
  },
  {
    name: "nobody outside a room sends into it",
    async run(world) {
      const { carol, room } = await threeLevels(world);
      const dora = await world.user("dora");
      await dora.trySend(room, {}, "org.example.x", FORBIDDEN);
      await dora.state(room, "org.example.x", "", {}, FORBIDDEN);
      await carol.leave(room);
      await carol.trySend(room, {}, "org.example.x", FORBIDDEN);
    },
  },
  {
    name: "levels above one's own can be neither given nor taken",
    async run(world) {
      const { alice, bob, carol, room, levels } = await threeLevels(world, {
        events: { [LEVELS]: 50 },
      });
      const put = (actor: Actor, change: object, expected?: string) =>
        actor.state(room, LEVELS, "", { ...levels, ...change }, expected);
      const users = { [alice.id]: 100, [bob.id]: 50 };
      await put(carol, { users: { ...users, [carol.id]: 1 } }, FORBIDDEN);
      await put(bob, { users: { ...users, [bob.id]: 51 } }, FORBIDDEN);
      await put(bob, { users: { ...users, [carol.id]: 51 } }, FORBIDDEN);
      await put(bob, { users: { ...users, [alice.id]: 50 } }, FORBIDDEN);
      await put(bob, { ban: 51 }, FORBIDDEN);
      await put(bob, { events: { ...levels.events, "org.example.x": 51 } }, FORBIDDEN);
      await put(bob, { events_default: 51 }, FORBIDDEN);
      await put(bob, { notifications: { room: 51 } }, FORBIDDEN);
      await put(bob, { users: { ...users, [carol.id]: 50 } });
      // An equal is out of reach as well, oneself is not.
      await put(bob, { users: { ...users, [carol.id]: 49 } }, FORBIDDEN);
      await put(bob, { users: { ...users, [carol.id]: 50, [bob.id]: 49 } }, "200");
      await put(bob, { users: { ...users, [carol.id]: 50 } }, FORBIDDEN);
    },
  },
  {
    name: "levels are whole numbers, and users are user ids",
    async run(world) {
      const { alice, room, levels } = await threeLevels(world);
      const put = (change: object) =>
        alice.state(room, LEVELS, "", { ...levels, ...change }, "4xx");
      await put({ ban: "50" });
      await put({ users: { [alice.id]: "100" } });
      await put({ users: { "not a user": 1 } });
      await put({ events: { x: 1.5 } });
      await put({ users: [] });
    },
  },
  {
    name: "kick and ban need the level, and more than the other one has",
    async run(world) {
      const { alice, bob, carol, room } = await threeLevels(world);
      const act = (actor: Actor, what: string, whom: Actor, expected?: string) =>
        actor.post(`rooms/${enc(room)}/${what}`, { user_id: whom.id }, expected);
      await act(bob, "kick", alice, FORBIDDEN);
      await act(bob, "ban", alice, FORBIDDEN);
      await act(carol, "kick", bob, FORBIDDEN);
      await act(bob, "kick", carol);
      await carol.join(room);
      await act(bob, "ban", carol);
      await act(alice, "kick", bob);
    },
  },
  {
    name: "inviting needs the level to invite",
    async run(world) {
      const { bob, carol, room } = await threeLevels(world, { invite: 50 });
      const dora = await world.user("dora");
      await carol.invite(room, dora, FORBIDDEN);
      await bob.invite(room, dora);
    },
  },
  {
    name: "a state key that begins with @ belongs to that user",
    async run(world) {
      const { alice, bob, carol, room } = await threeLevels(world, {
        events: { "org.example.own": 0 },
      });
      await carol.state(room, "org.example.own", carol.id, { v: 1 });
      await carol.state(room, "org.example.own", bob.id, { v: 1 }, FORBIDDEN);
      await alice.state(room, "org.example.own", bob.id, { v: 1 }, FORBIDDEN);
    },
  },
  {
    name: "membership cannot be written for others, nor made up",
    async run(world) {
      const { alice, bob, carol, room } = await threeLevels(world);
      const dora = await world.user("dora");
      const put = (actor: Actor, whom: Actor, content: object, expected: string) =>
        actor.state(room, "m.room.member", whom.id, content, expected);
      await put(alice, dora, { membership: "join" }, FORBIDDEN);
      await put(carol, bob, { membership: "leave" }, FORBIDDEN);
      await put(carol, carol, { membership: "nonsense" }, "4xx");
      await put(carol, carol, {}, "4xx");
      await put(carol, carol, { membership: "join", displayname: "C" }, "200");
      await alice.state(room, "m.room.create", "", { room_version: "11" }, "4xx");
    },
  },
  {
    name: "a sole creator who lowered itself has no power left",
    async run(world) {
      const alice = await world.user("alice");
      const room = await alice.room();
      const levels = await alice.get(`rooms/${enc(room)}/state/${LEVELS}`);
      await alice.state(room, LEVELS, "", { ...levels, users: { [alice.id]: 0 } });
      await alice.state(room, "m.room.name", "", { name: "x" }, FORBIDDEN);
      await alice.state(room, LEVELS, "", levels, FORBIDDEN);
      await alice.say(room, "still here");
    },
  },
  {
    name: "Bureau's kind of room: state for administrators, one type for a machine",
    async run(world) {
      const { alice, bob, carol, room } = await threeLevels(world, {
        state_default: 100,
        events_default: 0,
        events: { "m.bureau.status": 50, [LEVELS]: 100 },
      });
      await bob.state(room, "m.bureau.status", "machine/x", { cpu: 1 });
      await bob.state(room, "m.room.name", "", { name: "x" }, FORBIDDEN);
      await carol.state(room, "m.bureau.status", "machine/x", { cpu: 2 }, FORBIDDEN);
      await alice.state(room, "m.room.name", "", { name: "Machine" });
      const status = await carol.get(`rooms/${enc(room)}/state/m.bureau.status/machine%2Fx`);
      assert.deepEqual(status, { cpu: 1 });
    },
  },
];
