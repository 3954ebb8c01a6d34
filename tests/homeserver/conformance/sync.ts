// SPDX-License-Identifier: Apache-2.0

/** The edges of `/sync`. */
import assert from "node:assert/strict";
import { type Actor, enc, type Scenario } from "./world.ts";

interface TimelineEvent {
  readonly type: string;
  readonly event_id: string;
  readonly state_key?: string;
  readonly content: { readonly body?: string; readonly membership?: string };
}

interface Unread {
  readonly unread_notifications?: { readonly notification_count?: number };
}

const bodies = (events: TimelineEvent[]) =>
  events.map((event) => event.content.body).filter((body) => body !== undefined);

const ephemeral = (sync: { rooms?: { join?: Record<string, unknown> } }, room: string) => {
  const joined = sync.rooms?.join?.[room] as
    | { ephemeral?: { events: { type: string; content: unknown }[] } }
    | undefined;
  return joined?.ephemeral?.events ?? [];
};

export const sync: readonly Scenario[] = [
  {
    name: "the first answer is everything, the next is what came since",
    async run(world) {
      const alice = await world.user("alice");
      const room = await alice.room({ name: "N" });
      const first = await alice.sync();
      assert.deepEqual(Object.keys(first.rooms.join), [room]);
      const again = await alice.sync({ since: first.next_batch });
      assert.deepEqual(again.rooms?.join ?? {}, {});
      await alice.say(room, "hello");
      const next = await alice.sync({ since: again.next_batch });
      const joined = next.rooms.join[room];
      assert.deepEqual(bodies(joined.timeline.events), ["hello"]);
      assert.equal(joined.timeline.limited ?? false, false);
      assert.deepEqual(joined.state?.events ?? [], []);
      const full = await alice.sync({ since: next.next_batch, full_state: true });
      const types = full.rooms.join[room].state.events.map((event: TimelineEvent) => event.type);
      assert.ok(types.includes("m.room.create") && types.includes("m.room.name"), types.join());
    },
  },
  {
    name: "a gap is told, bridged by prev_batch, and its state is given",
    async run(world) {
      const alice = await world.user("alice");
      const room = await alice.room();
      const { next_batch: since } = await alice.sync();
      const sent: string[] = [];
      for (let n = 1; n <= 3; n++) sent.push(await alice.say(room, `m${n}`));
      await alice.state(room, "m.room.topic", "", { topic: "in the gap" });
      for (let n = 4; n <= 6; n++) sent.push(await alice.say(room, `m${n}`));
      const filter = { room: { timeline: { limit: 2 } } };
      const { rooms } = await alice.sync({ since, filter });
      const { timeline, state } = rooms.join[room];
      assert.equal(timeline.limited, true);
      assert.deepEqual(bodies(timeline.events), ["m5", "m6"]);
      const types = state.events.map((event: TimelineEvent) => event.type);
      assert.deepEqual(types, ["m.room.topic"]);
      const gap = await alice.get(
        `rooms/${enc(room)}/messages?dir=b&limit=4&from=${enc(timeline.prev_batch)}`,
      );
      assert.deepEqual(bodies(gap.chunk), ["m4", "m3", "m2"]);
      const until = await alice.get(
        `rooms/${enc(room)}/messages?dir=b&limit=50&from=${enc(timeline.prev_batch)}&to=${
          enc(since)
        }`,
      );
      assert.deepEqual(bodies(until.chunk), ["m4", "m3", "m2", "m1"]);
    },
  },
  {
    name: "state in the timeline is not repeated before it",
    async run(world) {
      const alice = await world.user("alice");
      const room = await alice.room();
      const { next_batch: since } = await alice.sync();
      await alice.state(room, "m.room.topic", "", { topic: "one" });
      await alice.state(room, "m.room.topic", "", { topic: "two" });
      const { rooms } = await alice.sync({ since });
      const { timeline, state } = rooms.join[room];
      assert.equal(timeline.events.length, 2);
      assert.deepEqual(state?.events ?? [], []);
    },
  },
  {
    name: "an invitation comes with the state that names the room",
    async run(world) {
      const [alice, bob] = await world.users("alice", "bob") as [Actor, Actor];
      const { next_batch: since } = await bob.sync();
      const room = await alice.room({ name: "Party", preset: "private_chat" });
      await alice.invite(room, bob);
      const { rooms, next_batch } = await bob.sync({ since });
      const state: TimelineEvent[] = rooms.invite[room].invite_state.events;
      const own = state.find((event) => event.state_key === bob.id);
      assert.equal(own?.content.membership, "invite");
      assert.ok(state.some((event) => event.type === "m.room.name"));
      await bob.join(room);
      const joined = await bob.sync({ since: next_batch });
      assert.equal(joined.rooms.invite?.[room], undefined);
      const names: string[] = [
        ...(joined.rooms.join[room].state?.events ?? []),
        ...joined.rooms.join[room].timeline.events,
      ].map((event: TimelineEvent) => event.type);
      assert.ok(names.includes("m.room.create"), "a newly joined room comes with its whole state");
    },
  },
  {
    name: "a room that was left is told once, up to the leave",
    async run(world) {
      const [alice, bob] = await world.users("alice", "bob") as [Actor, Actor];
      const room = await alice.room({ preset: "public_chat" });
      await bob.join(room);
      const { next_batch: since } = await bob.sync();
      await alice.say(room, "before");
      await alice.post(`rooms/${enc(room)}/kick`, { user_id: bob.id, reason: "test" });
      await alice.say(room, "after");
      const { rooms, next_batch } = await bob.sync({ since });
      const left = rooms.leave[room];
      assert.deepEqual(bodies(left.timeline.events), ["before"]);
      assert.equal(left.timeline.events.at(-1).content.membership, "leave");
      const then = await bob.sync({ since: next_batch });
      assert.equal(then.rooms?.leave?.[room], undefined);
      // Who was kicked may be told of it in a first answer too.
      await bob.sync();
      const included = await bob.sync({ filter: { room: { include_leave: true } } });
      assert.ok(room in included.rooms.leave);
    },
  },
  {
    name: "lazy members are those whose events are shown",
    async run(world) {
      const [alice, bob, carol] = await world.users("alice", "bob", "carol") as [
        Actor,
        Actor,
        Actor,
      ];
      // With a name: without one its heroes would be shown as well.
      const room = await alice.room({ preset: "public_chat", name: "Lazy" });
      await bob.join(room);
      await carol.join(room);
      for (let n = 1; n <= 3; n++) await bob.say(room, `m${n}`);
      const filter = { room: { timeline: { limit: 2 }, state: { lazy_load_members: true } } };
      const { rooms } = await alice.sync({ filter });
      const state: TimelineEvent[] = rooms.join[room].state.events;
      const members = state.filter((event) => event.type === "m.room.member")
        .map((event) => event.state_key).sort();
      assert.deepEqual(members, [alice.id, bob.id].sort());
      assert.equal(rooms.join[room].summary["m.joined_member_count"], 3);
    },
  },
  {
    name: "a filter by id chooses types, senders and rooms",
    async run(world) {
      const [alice, bob] = await world.users("alice", "bob") as [Actor, Actor];
      const [room, other] = [await alice.room({ preset: "public_chat" }), await alice.room()];
      await bob.join(room);
      await alice.say(room, "from alice");
      await bob.say(room, "from bob");
      const filter = {
        presence: { not_types: ["*"] },
        account_data: { not_types: ["*"] },
        room: {
          rooms: [room],
          timeline: { types: ["m.room.message"], not_senders: [bob.id] },
          state: { types: ["m.room.create"] },
        },
      };
      const path = `user/${enc(alice.id)}/filter`;
      const { filter_id } = await alice.post(path, filter);
      assert.deepEqual((await alice.get(`${path}/${filter_id}`)).room.rooms, [room]);
      const { rooms } = await alice.sync({ filter: String(filter_id) });
      assert.deepEqual(Object.keys(rooms.join), [room]);
      assert.deepEqual(bodies(rooms.join[room].timeline.events), ["from alice"]);
      assert.equal(rooms.join[other], undefined);
      await alice.get(`${path}/no-such`, "4xx");
      await alice.get(`user/${enc(bob.id)}/filter/${filter_id}`, "403");
      await alice.post(path, { room: "nonsense" }, "any");
    },
  },
  {
    name: "a long poll ends when something comes",
    async run(world) {
      const [alice, bob] = await world.users("alice", "bob") as [Actor, Actor];
      const room = await alice.room({ preset: "public_chat" });
      await bob.join(room);
      const { next_batch: since } = await bob.sync();
      const waiting = bob.sync({ since, timeout: 30_000 });
      await alice.say(room, "wake up");
      const { rooms } = await waiting;
      assert.deepEqual(bodies(rooms.join[room].timeline.events), ["wake up"]);
    },
  },
  {
    name: "messages to a device arrive once it has not said that it has them",
    async run(world) {
      const [alice, bob] = await world.users("alice", "bob") as [Actor, Actor];
      const { next_batch: since } = await bob.sync();
      const path = "sendToDevice/org.example.hello/txn1";
      const messages = { [bob.id]: { [bob.device]: { v: 1 } } };
      await alice.put(path, { messages });
      await alice.put(path, { messages });
      await alice.put("sendToDevice/org.example.hello/txn2", {
        messages: { [bob.id]: { "*": { v: 2 } } },
      });
      const versions = (sync: { to_device?: { events: { content: { v: number } }[] } }) =>
        (sync.to_device?.events ?? []).map((event) => event.content.v);
      const got = await bob.sync({ since });
      assert.deepEqual(versions(got), [1, 2]);
      assert.deepEqual(versions(await bob.sync({ since })), [1, 2]);
      const then = await bob.sync({ since: got.next_batch });
      assert.deepEqual(versions(then), []);
    },
  },
  {
    name: "account data and tags come with the next sync, and are one's own",
    async run(world) {
      const [alice, bob] = await world.users("alice", "bob") as [Actor, Actor];
      const room = await alice.room();
      const { next_batch: since } = await alice.sync();
      const own = `user/${enc(alice.id)}`;
      await alice.put(`${own}/account_data/org.example.a`, { v: 1 });
      await alice.put(`${own}/rooms/${enc(room)}/account_data/org.example.r`, { v: 2 });
      await alice.put(`${own}/rooms/${enc(room)}/tags/m.favourite`, { order: 0.5 });
      const got = await alice.sync({ since });
      assert.deepEqual(
        got.account_data.events.find((event: { type: string }) => event.type === "org.example.a"),
        { type: "org.example.a", content: { v: 1 } },
      );
      const types = got.rooms.join[room].account_data.events
        .map((event: { type: string }) => event.type).sort();
      assert.deepEqual(types, ["m.tag", "org.example.r"]);
      assert.deepEqual(await alice.get(`${own}/account_data/org.example.a`), { v: 1 });
      await alice.get(`${own}/account_data/org.example.none`, "404 M_NOT_FOUND");
      const { tags } = await alice.get(`${own}/rooms/${enc(room)}/tags`);
      assert.deepEqual(tags, { "m.favourite": { order: 0.5 } });
      await alice.delete(`${own}/rooms/${enc(room)}/tags/m.favourite`);
      assert.deepEqual((await alice.get(`${own}/rooms/${enc(room)}/tags`)).tags, {});
      await bob.get(`${own}/account_data/org.example.a`, "403");
      await bob.put(`${own}/account_data/org.example.a`, {}, "403");
    },
  },
  {
    name: "typing is seen by the others, and ends",
    async run(world) {
      const [alice, bob] = await world.users("alice", "bob") as [Actor, Actor];
      const room = await alice.room({ preset: "public_chat" });
      await bob.join(room);
      const { next_batch: since } = await alice.sync();
      const path = `rooms/${enc(room)}/typing/${enc(bob.id)}`;
      await bob.put(path, { typing: true, timeout: 30_000 });
      const typing = (who: string[]) => (sync: object) =>
        ephemeral(sync, room).some((event) =>
          event.type === "m.typing" &&
          JSON.stringify((event.content as { user_ids: string[] }).user_ids) === JSON.stringify(who)
        );
      const got = await alice.syncUntil(since, typing([bob.id]));
      await bob.put(path, { typing: false });
      await alice.syncUntil(got.next_batch, typing([]));
      await alice.put(path, { typing: true, timeout: 1_000 }, "4xx");
    },
  },
  {
    name: "receipts: public to all, private to oneself, and the fully read marker",
    async run(world) {
      const [alice, bob] = await world.users("alice", "bob") as [Actor, Actor];
      const room = await alice.room({ preset: "public_chat" });
      await bob.join(room);
      const said = await alice.say(room, "read me");
      const { next_batch: since, rooms } = await alice.sync();
      assert.equal(rooms.join[room].unread_notifications?.notification_count ?? 0, 0);
      const before = await bob.sync();
      assert.equal(before.rooms.join[room].unread_notifications.notification_count, 1);
      await bob.post(`rooms/${enc(room)}/receipt/m.read/${enc(said)}`, {});
      const has = (kind: string) => (sync: object) =>
        ephemeral(sync, room).some((event) =>
          event.type === "m.receipt" &&
          kind in ((event.content as Record<string, Record<string, object>>)[said] ?? {})
        );
      await alice.syncUntil(since, has("m.read"));
      const unread = (body: { rooms: { join: Record<string, Unread> } }) =>
        body.rooms.join[room]?.unread_notifications?.notification_count ?? 0;
      await bob.syncUntil(before.next_batch, (body) => unread(body) === 0, { full_state: true });
      const more = await alice.say(room, "and me");
      await bob.post(`rooms/${enc(room)}/read_markers`, {
        "m.fully_read": more,
        "m.read.private": more,
      });
      const marked = await bob.sync({ since: before.next_batch });
      const data: { type: string; content: { event_id: string } }[] =
        marked.rooms.join[room].account_data.events;
      assert.equal(data.find((event) => event.type === "m.fully_read")?.content.event_id, more);
      const seen = JSON.stringify(ephemeral(await alice.sync({ since }), room));
      assert.ok(!seen.includes("m.read.private"), "a private receipt is another's");
      await bob.post(`rooms/${enc(room)}/receipt/m.nonsense/${enc(said)}`, {}, "400");
    },
  },
  {
    name: "presence of those one shares a room with",
    async run(world) {
      const [alice, bob] = await world.users("alice", "bob") as [Actor, Actor];
      const room = await alice.room({ preset: "public_chat" });
      await bob.join(room);
      const { next_batch: since } = await alice.sync();
      await bob.put(`presence/${enc(bob.id)}/status`, { presence: "online", status_msg: "busy" });
      await alice.syncUntil(
        since,
        (sync) =>
          (sync.presence?.events ?? []).some((
            event: { sender: string; content: { status_msg?: string } },
          ) => event.sender === bob.id && event.content.status_msg === "busy"),
        { filter: { presence: {} } },
      );
      const status = (await alice.unrecorded("GET", `presence/${enc(bob.id)}/status`)).body;
      assert.equal(status.status_msg, "busy");
      await alice.put(`presence/${enc(bob.id)}/status`, { presence: "online" }, "403");
      await bob.put(`presence/${enc(bob.id)}/status`, { presence: "nonsense" }, "400");
    },
  },
  {
    name: "what is no position and no filter is refused",
    async run(world) {
      const alice = await world.user("alice");
      await alice.get("sync?since=nonsense", "400");
      await alice.get("sync?filter=no-such-filter", "4xx");
      await alice.get(`sync?filter=${enc("{")}`, "400");
      await world.anybody().get("sync", "401 M_MISSING_TOKEN");
    },
  },
];
