// SPDX-License-Identifier: Apache-2.0

/** Rooms, spaces, relations and files on the embedded homeserver. */
import assert from "node:assert/strict";
import { SECRET, Server } from "../homeserver/_process.ts";
import { account } from "./_accounts.ts";
import {
  addChild,
  createSpace,
  download,
  edit,
  editedContent,
  fileContent,
  hierarchy,
  inReplyTo,
  inThread,
  type MatrixEvent,
  openRoom,
  react,
  relationOf,
  relations,
  removeChild,
  sendFile,
  threadOf,
  upload,
} from "./mod.ts";

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

const text = (body: string) => ({ msgtype: "m.text", body });

Deno.test("helpers of the messaging client", async (t) => {
  await using server = await Server.start();
  const alice = await account(server.url, "alice", SECRET);
  const bob = await account(server.url, "bob", SECRET);

  await t.step("openRoom() makes one room, whoever asks at the same time", async () => {
    const alias = "#bureau/shared:bureau.local";
    const asked = await Promise.all(
      Array.from({ length: 6 }, (_, n) => openRoom(n % 2 ? alice : bob, alias, { name: "Shared" })),
    );
    assert.equal(new Set(asked.map(({ id }) => id)).size, 1);
    assert.equal(asked.filter(({ created }) => created).length, 1);
    assert.deepEqual(await openRoom(bob, alias, {}), { id: asked[0]!.id, created: false });
    await assert.rejects(openRoom(bob, "not an alias", {}), { code: "bad-alias" });
  });

  await t.step("spaces have children, and a hierarchy over several pages", async () => {
    const space = await createSpace(alice, { name: "Space" });
    const names = Array.from({ length: 60 }, (_, n) => `room ${String(n).padStart(2, "0")}`);
    const ids = [];
    for (const name of names) {
      const id = await alice.createRoom({ name });
      await addChild(alice, space, id, { via: ["bureau.local"], order: name });
      ids.push(id);
    }
    const seen = await all(hierarchy(alice, space));
    assert.deepEqual(seen.map(({ room_id }) => room_id), [space, ...ids]);
    assert.equal(seen[0]!.room_type, "m.space");
    assert.equal(seen[1]!.name, "room 00");
    await removeChild(alice, space, ids[0]!);
    assert.deepEqual(
      (await all(hierarchy(alice, space))).map(({ room_id }) => room_id),
      [space, ...ids.slice(1)],
    );
    await assert.rejects(all(hierarchy(bob, space)), { errcode: "M_FORBIDDEN" });
  });

  const room = await alice.createRoom({ invite: [bob.id] });
  await bob.join(room);
  const eventOf = async (id: string): Promise<MatrixEvent> =>
    await alice.request("GET", `/_matrix/client/v3/rooms/${room}/event/${id}`, { what: "read" });

  await t.step("a thread is read in order, and its events name it", async () => {
    const root = await alice.send(room, "m.room.message", text("root"), "root");
    for (let n = 0; n < 120; n++) {
      await bob.send(room, "m.room.message", inThread(text(`${n}`), root), `thread ${n}`);
    }
    await bob.send(room, "m.room.message", text("elsewhere"), "elsewhere");
    const thread = await all(relations(alice, room, root, { relType: "m.thread" }));
    assert.deepEqual(
      thread.map(({ content }) => content["body"]),
      Array.from({ length: 120 }, (_, n) => `${n}`),
    );
    assert.ok(thread.every((event) => threadOf(event) === root));
    const answer = inThread(text("to one"), root, thread[3]!.event_id);
    assert.deepEqual(answer["m.relates_to"], {
      rel_type: "m.thread",
      event_id: root,
      is_falling_back: false,
      "m.in_reply_to": { event_id: thread[3]!.event_id },
    });
    assert.equal(threadOf({ content: inReplyTo(text("x"), root) }), null);
  });

  await t.step("reactions are found by type", async () => {
    const event = await alice.send(room, "m.room.message", text("like me"), "like");
    await react(bob, room, event, "👍", "react 1");
    await react(alice, room, event, "👀", "react 2");
    const found = await all(
      relations(alice, room, event, { relType: "m.annotation", type: "m.reaction" }),
    );
    assert.deepEqual(found.map((one) => relationOf(one)?.key), ["👍", "👀"]);
    await assert.rejects(react(bob, room, event, "👍", "react 3"));
  });

  await t.step("edits count when they are the author's own", async () => {
    const event = await alice.send(room, "m.room.message", text("tpyo"), "edit");
    await edit(bob, room, event, text("forged"), "edit 1").catch(() => {});
    await edit(alice, room, event, text("typo"), "edit 2");
    await edit(alice, room, event, text("right"), "edit 3");
    const original = { ...await eventOf(event), content: text("tpyo") };
    const edits = await all(relations(alice, room, event, { relType: "m.replace" }));
    assert.deepEqual(editedContent(original, edits), text("right"));
    const forged = edits.map((one) => ({ ...one, sender: bob.id }));
    assert.deepEqual(editedContent(original, forged), text("tpyo"));
  });

  await t.step("malformed relations are none", () => {
    for (const relation of [undefined, null, 1, "x", [], { rel_type: 1, event_id: "$1" }, {}]) {
      assert.equal(relationOf({ content: { "m.relates_to": relation } }), null);
    }
  });

  const bytes = new Uint8Array(300_000).map((_, n) => n % 251);

  await t.step("a file comes back as it was, for members with an account", async () => {
    const file = { name: 'a ü".bin', type: "application/x-test", size: bytes.length };
    const stream = new Blob([bytes]).stream();
    const id = await sendFile(alice, room, stream, file, "file");
    const { content } = await eventOf(id);
    assert.equal(content["msgtype"], "m.file");
    assert.deepEqual(content["info"], { mimetype: "application/x-test", size: 300_000 });
    const uri = String(content["url"]);
    const { type, body } = await download(bob, uri, bytes.length);
    assert.equal(type, "application/x-test");
    assert.deepEqual(await new Response(body).bytes(), bytes);
    await assert.rejects(download(bob, uri, bytes.length - 1), { code: "too-large" });
    await assert.rejects(download(bob, "mxc://bureau.local/none", 10), { errcode: "M_NOT_FOUND" });
    for (const bad of ["http://x/y", "mxc://a/../b", "mxc://a/b?c", "mxc:///b", ""]) {
      await assert.rejects(download(bob, bad, 10), { code: "bad-uri" });
    }
  });

  await t.step("an image is told as one, with its size", async () => {
    const image = { name: "a.png", type: "image/png", size: 4, width: 2, height: 1 };
    const uri = await upload(alice, new Uint8Array([1, 2, 3, 4]), image);
    assert.deepEqual(fileContent(uri, image), {
      msgtype: "m.image",
      body: "a.png",
      filename: "a.png",
      url: uri,
      info: { mimetype: "image/png", size: 4, w: 2, h: 1 },
    });
  });
});

Deno.test("download() stops a homeserver that sends more than it said", async () => {
  let sent = 0;
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () =>
    new Response(
      new ReadableStream({
        pull(controller) {
          sent += 1_000;
          controller.enqueue(new Uint8Array(1_000));
        },
      }, { highWaterMark: 0 }),
    ));
  const { createMatrixClient } = await import("./mod.ts");
  const client = createMatrixClient({
    homeserverUrl: `http://127.0.0.1:${server.addr.port}`,
    accessToken: "t",
  });
  const { body } = await download(client, "mxc://a/b", 10_000);
  await assert.rejects(new Response(body).bytes(), { code: "too-large" });
  await server.shutdown();
  assert.ok(sent < 50_000_000);
});
