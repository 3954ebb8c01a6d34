// SPDX-License-Identifier: Apache-2.0

/** State and messages: writing, reading, paging, redacting. */
import assert from "node:assert/strict";
import { enc, type Scenario } from "./world.ts";

const ids = (chunk: { event_id: string }[]) => chunk.map((event) => event.event_id);

export const events: readonly Scenario[] = [
  {
    name: "state is what was put last, by type and key",
    async run(world) {
      const alice = await world.user("alice");
      const room = await alice.room();
      const first = await alice.state(room, "org.example.s", "a/b", { v: 1 });
      // Homeservers take the key with its slash as well.
      await alice.put(`rooms/${enc(room)}/state/org.example.s/c`, { v: 3 });
      const second = await alice.state(room, "org.example.s", "a/b", { v: 2 });
      assert.notEqual(first.event_id, second.event_id);
      const path = `rooms/${enc(room)}/state/org.example.s/a%2Fb`;
      assert.deepEqual(await alice.get(path), { v: 2 });
      const event = await alice.get(`${path}?format=event`);
      assert.equal(event.event_id, second.event_id);
      await alice.get(`rooms/${enc(room)}/state/org.example.s`, "404 M_NOT_FOUND");
      await alice.get(`rooms/${enc(room)}/state/org.example.none/`, "404 M_NOT_FOUND");
      const same = await alice.state(room, "org.example.s", "a/b", { v: 2 });
      assert.equal(same.event_id, second.event_id);
      const got = await alice.get(`rooms/${enc(room)}/event/${enc(second.event_id)}`);
      assert.equal(got.unsigned.replaces_state, first.event_id);
    },
  },
  {
    name: "a transaction sent twice is one event, and only its device sees the number",
    async run(world) {
      const [alice, bob] = await world.users("alice", "bob");
      const room = await alice!.room({ preset: "public_chat" });
      await bob!.join(room);
      const path = `rooms/${enc(room)}/send/org.example.t/once`;
      const first = await alice!.put(path, { v: 1 });
      const second = await alice!.put(path, { v: 1 });
      assert.equal(first.event_id, second.event_id);
      const event = `rooms/${enc(room)}/event/${enc(first.event_id)}`;
      assert.equal((await alice!.get(event)).unsigned?.transaction_id, "once");
      assert.equal((await bob!.get(event)).unsigned?.transaction_id, undefined);
      const same = await bob!.put(path, { v: 1 });
      assert.notEqual(same.event_id, first.event_id);
    },
  },
  {
    name: "what is no event is refused",
    async run(world) {
      const alice = await world.user("alice");
      const room = await alice.room();
      await alice.trySend(room, { v: 1.5 }, "org.example.x", "400");
      await alice.trySend(room, { v: 2 ** 60 }, "org.example.x", "400");
      await alice.trySend(room, { v: "x".repeat(66_000) }, "org.example.x", "413 M_TOO_LARGE");
      await alice.trySend(room, {}, "x".repeat(256), "4xx");
      await alice.state(room, "org.example.x", "k".repeat(256), {}, "4xx");
      await alice.put(`rooms/${enc(room)}/send/org.example.x/list`, [], "400");
    },
  },
  {
    name: "messages page forwards and backwards over the same history",
    async run(world) {
      const alice = await world.user("alice");
      const room = await alice.room();
      const sent: string[] = [];
      for (let n = 1; n <= 7; n++) sent.push(await alice.say(room, `m${n}`));
      const page = (query: string) => alice.get(`rooms/${enc(room)}/messages?${query}`);
      const filter = enc(JSON.stringify({ types: ["m.room.message"] }));
      const back = await page(`dir=b&limit=3&filter=${filter}`);
      assert.deepEqual(ids(back.chunk), sent.slice(4).reverse());
      const older = await page(`dir=b&limit=3&filter=${filter}&from=${back.end}`);
      assert.deepEqual(ids(older.chunk), sent.slice(1, 4).reverse());
      const forward = await page(`dir=f&limit=100&filter=${filter}&from=${older.end}`);
      assert.deepEqual(ids(forward.chunk), sent.slice(1));
      const all = await page("dir=f&limit=100");
      assert.equal(all.chunk[0].type, "m.room.create");
      assert.deepEqual(ids(all.chunk.slice(-7)), sent);
      const none = enc(JSON.stringify({ not_types: ["m.*"] }));
      assert.deepEqual((await page(`dir=b&filter=${none}`)).chunk, []);
      await alice.get(`rooms/${enc(room)}/messages?dir=sideways`, "400");
      await alice.get(`rooms/${enc(room)}/messages?dir=b&from=nonsense`, "400");
    },
  },
  {
    name: "an event's context is what was around it",
    async run(world) {
      const alice = await world.user("alice");
      const room = await alice.room();
      const sent: string[] = [];
      for (let n = 1; n <= 5; n++) sent.push(await alice.say(room, `m${n}`));
      const context = await alice.get(`rooms/${enc(room)}/context/${enc(sent[2]!)}?limit=2`);
      assert.equal(context.event.event_id, sent[2]);
      assert.deepEqual(ids(context.events_before), [sent[1]]);
      assert.deepEqual(ids(context.events_after), [sent[3]]);
      await alice.get(`rooms/${enc(room)}/context/${enc("$nothing")}`, "404 M_NOT_FOUND");
      await alice.get(`rooms/${enc(room)}/event/${enc("$nothing")}`, "404 M_NOT_FOUND");
    },
  },
  {
    name: "an event is found by its time",
    async run(world) {
      const alice = await world.user("alice");
      const room = await alice.room();
      const first = await alice.say(room, "first");
      const { origin_server_ts } = await alice.get(`rooms/${enc(room)}/event/${enc(first)}`);
      const at = (ts: number, dir: string, expected?: string) =>
        alice.get(
          `/_matrix/client/v1/rooms/${enc(room)}/timestamp_to_event?ts=${ts}&dir=${dir}`,
          expected,
        );
      assert.equal((await at(origin_server_ts, "b")).event_id, first);
      assert.equal((await at(origin_server_ts + 60_000, "b")).event_id, first);
      await at(origin_server_ts + 60_000, "f", "404 M_NOT_FOUND");
    },
  },
  {
    name: "a redacted event loses what its type does not keep",
    async run(world) {
      const [alice, bob] = await world.users("alice", "bob");
      const room = await alice!.room({ preset: "public_chat" });
      await bob!.join(room);
      const said = await bob!.say(room, "a secret");
      const redaction = (await alice!.redact(room, said)).event_id;
      const event = await bob!.get(`rooms/${enc(room)}/event/${enc(said)}`);
      assert.deepEqual(event.content, {});
      assert.equal(event.unsigned.redacted_because.event_id, redaction);
      assert.equal(event.unsigned.redacted_because.content.redacts, said);
      const other = await alice!.say(room, "an admin's");
      await bob!.redact(room, other, "403 M_FORBIDDEN");
      const own = await bob!.say(room, "my own");
      await bob!.redact(room, own);
      await alice!.redact(room, "$nothing", "any");
    },
  },
  {
    name: "redacted state keeps what the rules need",
    async run(world) {
      const alice = await world.user("alice");
      const room = await alice.room({ preset: "public_chat" });
      const state: { type: string; event_id: string; content: { invite?: number } }[] = await alice
        .get(
          `rooms/${enc(room)}/state`,
        );
      const redact = async (type: string) => {
        const { event_id } = state.find((event) => event.type === type)!;
        await alice.redact(room, event_id);
        return await alice.get(`rooms/${enc(room)}/event/${enc(event_id)}`);
      };
      assert.deepEqual((await redact("m.room.join_rules")).content, { join_rule: "public" });
      const before = state.find((event) => event.type === "m.room.power_levels")!;
      const levels = (await redact("m.room.power_levels")).content;
      assert.equal(levels.users[alice.id], 100);
      // Room version 11 keeps the level to invite.
      assert.deepEqual(levels.invite, before.content.invite);
      assert.deepEqual((await redact("m.room.member")).content, { membership: "join" });
      const name = await alice.state(room, "m.room.name", "", { name: "gone" });
      await alice.redact(room, name.event_id);
      assert.deepEqual(await alice.get(`rooms/${enc(room)}/state/m.room.name`), {});
    },
  },
];
