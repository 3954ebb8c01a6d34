// SPDX-License-Identifier: Apache-2.0

/** `/v1/matrix/…` with a real homeserver behind it, through `lib/proxyclient`. */
import assert from "node:assert/strict";
import { Server } from "../../homeserver/_process.ts";
import { ProxyClientError } from "../../lib/proxyclient/mod.ts";
import type { MatrixClient } from "../../messaging/mod.ts";
import { withAccount } from "../testing/homeserver.ts";

const ALL = { grants: [{ actions: ["matrix/**"], targets: ["**:**"] }] };

Deno.test("a principal that may do everything does it through the gateway", async (t) => {
  await using server = await Server.start();
  const bob = await server.register("bob");
  const alice = await server.register("alice");
  await withAccount(server, alice, ALL, async ({ matrix }) => {
    // The same calls as the direct client's, as the compiler sees them.
    const same: Pick<
      MatrixClient,
      | "whoami"
      | "createRoom"
      | "resolveAlias"
      | "createAlias"
      | "joinedRooms"
      | "join"
      | "invite"
      | "kick"
      | "leave"
      | "getState"
      | "roomState"
      | "putState"
      | "send"
      | "redact"
      | "messages"
      | "members"
      | "sync"
    > = matrix;
    const room = await same.createRoom({ name: "Room", room_alias_name: "team/one" });
    const text = (body: string) => ({ msgtype: "m.text", body });
    let first = "";

    await t.step("rooms and aliases", async () => {
      assert.equal((await matrix.whoami()).user_id, alice.id);
      assert.equal(await matrix.resolveAlias("#team/one:bureau.local"), room);
      assert.equal(await matrix.resolveAlias("#nobody:bureau.local"), null);
      await matrix.createAlias("#team/two:bureau.local", room);
      assert.equal(await matrix.resolveAlias("#team/two:bureau.local"), room);
      await matrix.deleteAlias("#team/two:bureau.local");
      assert.equal(await matrix.resolveAlias("#team/two:bureau.local"), null);
      assert.deepEqual(await matrix.joinedRooms(), [room]);
    });
    await t.step("messages, once for each transaction id", async () => {
      first = await matrix.send(room, "m.room.message", text("one"), "t1");
      assert.equal(await matrix.send(room, "m.room.message", text("one"), "t1"), first);
      assert.equal(
        await matrix.send("#team/one:bureau.local", "m.room.message", text("one"), "t1"),
        first,
      );
      await matrix.send(room, "org.example.event", { v: 1 }, "t2");
      const { chunk } = await matrix.messages(room, { limit: 2 });
      assert.deepEqual(chunk.map(({ type }) => type), ["org.example.event", "m.room.message"]);
      assert.equal((await matrix.roomEvent(room, first)).content["body"], "one");
      assert.ok("events_before" in await matrix.context(room, first, 2));
    });
    await t.step("threads, relations, reactions, redactions", async () => {
      const relation = { "m.relates_to": { rel_type: "m.thread", event_id: first } };
      const reply = await matrix.send(
        room,
        "m.room.message",
        { ...text("two"), ...relation },
        "t3",
      );
      const { chunk: threads } = await matrix.threads(room);
      assert.deepEqual(threads.map(({ event_id }) => event_id), [first]);
      const { chunk } = await matrix.threadMessages(room, first);
      assert.deepEqual(chunk.map(({ event_id }) => event_id), [reply]);
      const reaction = await matrix.react(room, first, "👍", "t4");
      const reactions = () =>
        matrix.relations(room, first, { rel_type: "m.annotation", event_type: "m.reaction" });
      assert.deepEqual((await reactions()).chunk.map(({ event_id }) => event_id), [reaction]);
      await matrix.redact(room, reaction, "t5", "not so");
      assert.deepEqual((await reactions()).chunk, []);
    });
    await t.step("state is written where it differs", async () => {
      const key = "agent/x:bureau.local";
      assert.equal(await matrix.getState(room, "org.example.state", key), null);
      assert.match((await matrix.putState(room, "org.example.state", key, { v: 1 }))!, /^\$/);
      assert.equal(await matrix.putState(room, "org.example.state", key, { v: 1 }), null);
      assert.deepEqual(await matrix.getState(room, "org.example.state", key), { v: 1 });
      assert.ok((await matrix.roomState(room)).some(({ state_key }) => state_key === key));
    });
    await t.step("members", async () => {
      await matrix.invite(room, bob.id);
      assert.deepEqual(await matrix.members(room, "invite"), [bob.id]);
      await bob.call("POST", `join/${encodeURIComponent(room)}`, {});
      assert.deepEqual((await matrix.members(room)).sort(), [alice.id, bob.id]);
      await matrix.kick(room, bob.id, "enough");
      await matrix.ban(room, bob.id);
      assert.deepEqual(await matrix.members(room, "ban"), [bob.id]);
      await matrix.unban(room, bob.id);
      const other = (await bob.call("POST", "createRoom", { preset: "public_chat" })).body.room_id;
      assert.equal(await matrix.join(other), other);
      await matrix.leave(other);
      assert.deepEqual(await matrix.joinedRooms(), [room]);
    });
    await t.step("profiles and presence", async () => {
      await matrix.setDisplayName("Alice A.");
      assert.equal(await matrix.displayName(), "Alice A.");
      assert.equal((await matrix.profile(bob.id)).avatar_url, undefined);
      await matrix.setPresence({ presence: "unavailable", status_msg: "tea" });
      assert.equal((await matrix.presence(alice.id)).status_msg, "tea");
    });
    await t.step("files", async () => {
      const bytes = crypto.getRandomValues(new Uint8Array(50_000));
      const whole = new Blob([bytes, bytes, bytes, bytes]);
      const uri = await matrix.upload(whole, { contentType: "image/png", filename: "a b.png" });
      const file = await matrix.download(uri);
      assert.equal(file.contentType, "image/png");
      assert.deepEqual(
        await new Response(file.body).bytes(),
        new Uint8Array(await whole.arrayBuffer()),
      );
      // Without a length, as a pipe is uploaded.
      const piped = await matrix.upload(ReadableStream.from([bytes]), {});
      assert.deepEqual(await new Response((await matrix.download(piped)).body).bytes(), bytes);
      await matrix.setAvatar(uri);
      assert.equal((await matrix.profile()).avatar_url, uri);
      assert.ok((await matrix.mediaLimit())! > 0);
      await assert.rejects(
        matrix.download("mxc://bureau.local/nothing"),
        (thrown) => thrown instanceof ProxyClientError && thrown.errcode === "M_NOT_FOUND",
      );
    });
    await t.step("spaces", async () => {
      const space = await matrix.createRoom({
        name: "Space",
        creation_content: { type: "m.space" },
      });
      await matrix.putState(space, "m.space.child", room, { via: ["bureau.local"] });
      const { rooms } = await matrix.hierarchy(space);
      assert.deepEqual(rooms.map(({ room_id }) => room_id), [space, room]);
    });
    await t.step("sync", async () => {
      let since = (await matrix.sync()).next_batch;
      const sent = await matrix.send(room, "m.room.message", text("now"), "t9");
      // Other news, of a presence for instance, may come first.
      for (let seen = false; !seen;) {
        const answer = await matrix.sync({ since, timeoutMs: 15_000 });
        since = answer.next_batch;
        const events = answer.rooms?.join?.[room]?.timeline?.events ?? [];
        seen = events.some(({ event_id }) => event_id === sent);
      }
    });
  });
});

Deno.test("the directory shows what the principal is in, and what its targets cover", async () => {
  await using server = await Server.start();
  const bob = await server.register("bob");
  const alice = await server.register("alice");
  const rooms: Record<string, string> = {};
  for (const name of ["team/open", "secret/plan", "joined"]) {
    const { body } = await bob.call("POST", "createRoom", {
      name,
      room_alias_name: name,
      visibility: "public",
      preset: "public_chat",
    });
    rooms[name] = body.room_id;
  }
  await alice.call("POST", `join/${encodeURIComponent(rooms["joined"]!)}`, {});
  const shown = async (grants: { actions: string[]; targets?: string[] }[], denials = {}) => {
    let names: (string | undefined)[] = [];
    await withAccount(server, alice, { grants, ...denials }, async ({ matrix }, { get }) => {
      names = (await matrix.directory({ limit: 10 })).chunk.map(({ name }) => name).sort();
      const found = await matrix.directory({ search: "secret" });
      assert.equal(found.chunk.some(({ name }) => name === "secret/plan"), names.length === 3);
      const stock = await get("/_matrix/client/v3/publicRooms?limit=10");
      const { chunk } = await stock.json();
      assert.deepEqual(chunk.map(({ name }: { name: string }) => name).sort(), names);
    });
    return names;
  };
  const actions = ["matrix/directory"];
  assert.deepEqual(await shown([{ actions }]), ["joined"]);
  assert.deepEqual(await shown([{ actions, targets: ["team/**:bureau.local"] }]), [
    "joined",
    "team/open",
  ]);
  const all = [{ actions, targets: ["**:**"] }];
  assert.deepEqual(await shown(all), ["joined", "secret/plan", "team/open"]);
  const denials = [{ actions, targets: ["secret/**:**"] }];
  await withAccount(server, alice, { grants: all, denials }, async ({ matrix }) => {
    // A denial with targets denies the self-service call too, as everywhere.
    await assert.rejects(
      matrix.directory(),
      (thrown) => thrown instanceof ProxyClientError && thrown.code === "forbidden",
    );
  });
});
