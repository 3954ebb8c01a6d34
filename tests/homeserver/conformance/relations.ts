// SPDX-License-Identifier: Apache-2.0

/** Edits, reactions, references and threads. */
import assert from "node:assert/strict";
import { type Actor, enc, type Scenario } from "./world.ts";

const relate = (rel_type: string, event_id: string, more: object = {}) => ({
  "m.relates_to": { rel_type, event_id, ...more },
});

const text = (body: string, more: object = {}) => ({ msgtype: "m.text", body, ...more });

const edit = (of: string, body: string) =>
  text(`* ${body}`, { "m.new_content": text(body), ...relate("m.replace", of) });

const ids = (chunk: { event_id: string }[]) => chunk.map((event) => event.event_id);

const v1 = (room: string, path: string) => `/_matrix/client/v1/rooms/${enc(room)}/${path}`;

export const relations: readonly Scenario[] = [
  {
    name: "relations of an event by kind and type",
    async run(world) {
      const [alice, bob] = await world.users("alice", "bob") as [Actor, Actor];
      const room = await alice.room({ preset: "public_chat" });
      await bob.join(room);
      const root = await alice.say(room, "root");
      const thumb = await bob.send(room, relate("m.annotation", root, { key: "+" }), "m.reaction");
      const reply = await bob.send(room, text("in reply", relate("m.thread", root)));
      const edited = await alice.send(room, edit(root, "better"));
      const get = async (path: string) => ids((await alice.get(v1(room, path))).chunk);
      assert.deepEqual(await get(`relations/${enc(root)}`), [edited, reply, thumb]);
      assert.deepEqual(await get(`relations/${enc(root)}?dir=f`), [thumb, reply, edited]);
      assert.deepEqual(await get(`relations/${enc(root)}/m.thread`), [reply]);
      assert.deepEqual(await get(`relations/${enc(root)}/m.annotation/m.reaction`), [thumb]);
      assert.deepEqual(await get(`relations/${enc(root)}/m.annotation/m.sticker`), []);
      const page = await alice.get(v1(room, `relations/${enc(root)}?limit=2`));
      assert.deepEqual(ids(page.chunk), [edited, reply]);
      const rest = await alice.get(
        v1(room, `relations/${enc(root)}?limit=2&from=${page.next_batch}`),
      );
      assert.deepEqual(ids(rest.chunk), [thumb]);
      await alice.get(v1(room, `relations/${enc("$nothing")}`), "4xx");
    },
  },
  {
    name: "the same reaction twice is one too many",
    async run(world) {
      const alice = await world.user("alice");
      const room = await alice.room();
      const root = await alice.say(room, "root");
      const reaction = relate("m.annotation", root, { key: "+" });
      await alice.send(room, reaction, "m.reaction");
      await alice.trySend(room, reaction, "m.reaction", "400 M_DUPLICATE_ANNOTATION");
      await alice.send(room, relate("m.annotation", root, { key: "-" }), "m.reaction");
    },
  },
  {
    name: "an edit by its author is bundled, one by another is not",
    async run(world) {
      const [alice, bob] = await world.users("alice", "bob") as [Actor, Actor];
      const room = await alice.room({ preset: "public_chat" });
      await bob.join(room);
      const root = await alice.say(room, "root");
      await bob.send(room, edit(root, "forged"));
      const bundled = async () =>
        (await alice.get(`rooms/${enc(room)}/event/${enc(root)}`)).unsigned?.["m.relations"]
          ?.["m.replace"];
      assert.equal(await bundled(), undefined);
      await alice.send(room, edit(root, "one"));
      const second = await alice.send(room, edit(root, "two"));
      assert.equal((await bundled()).event_id, second);
      await alice.redact(room, second);
      assert.notEqual((await bundled()).event_id, second);
    },
  },
  {
    name: "a thread is counted, listed, and told apart by who takes part",
    async run(world) {
      const [alice, bob] = await world.users("alice", "bob") as [Actor, Actor];
      const room = await alice.room({ preset: "public_chat" });
      await bob.join(room);
      const first = await alice.say(room, "first");
      const second = await bob.say(room, "second");
      const reply = (actor: Actor, root: string, body: string) =>
        actor.send(room, text(body, relate("m.thread", root)));
      await reply(bob, second, "b1");
      await reply(bob, first, "a1");
      const last = await reply(bob, first, "a2");
      const thread = (await alice.get(`rooms/${enc(room)}/event/${enc(first)}`))
        .unsigned["m.relations"]["m.thread"];
      assert.equal(thread.count, 2);
      assert.equal(thread.latest_event.event_id, last);
      assert.equal(thread.current_user_participated, true);
      const list = async (query: string) =>
        ids((await alice.get(v1(room, `threads${query}`))).chunk);
      assert.deepEqual(await list(""), [first, second]);
      assert.deepEqual(await list("?include=participated"), [first]);
      assert.deepEqual(await list("?limit=1"), [first]);
      const other = (await bob.get(`rooms/${enc(room)}/event/${enc(second)}`))
        .unsigned["m.relations"]["m.thread"];
      assert.equal(other.count, 1);
    },
  },
  {
    name: "a thread within a thread, and relations to nothing, are refused",
    async run(world) {
      const alice = await world.user("alice");
      const room = await alice.room();
      const root = await alice.say(room, "root");
      const reply = await alice.send(room, text("reply", relate("m.thread", root)));
      await alice.trySend(
        room,
        text("deeper", relate("m.thread", reply)),
        "m.room.message",
        "400",
      );
    },
  },
  {
    name: "references are bundled by id",
    async run(world) {
      const alice = await world.user("alice");
      const room = await alice.room();
      const root = await alice.say(room, "root");
      const one = await alice.send(room, relate("m.reference", root), "org.example.ref");
      const two = await alice.send(room, relate("m.reference", root), "org.example.ref");
      const event = await alice.get(`rooms/${enc(room)}/event/${enc(root)}`);
      assert.deepEqual(ids(event.unsigned["m.relations"]["m.reference"].chunk), [one, two]);
    },
  },
];
