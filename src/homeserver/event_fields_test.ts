// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Server } from "./_process.ts";
import { keepFields, parseFields } from "./event_fields.ts";

const event = {
  type: "m.room.message",
  sender: "@a:b",
  content: { body: "x", "m.relates_to": { event_id: "$1", rel_type: "m.thread" }, n: 1 },
};

Deno.test("event_fields keep what is named, with dots and backslashes in keys", () => {
  for (
    const [fields, kept] of [
      [["type"], { type: "m.room.message" }],
      [["type", "content.body", "content.n"], {
        type: "m.room.message",
        content: { body: "x", n: 1 },
      }],
      [["content.m\\.relates_to.event_id"], { content: { "m.relates_to": { event_id: "$1" } } }],
      [["content", "content.body"], { content: event.content }],
      [["content.body", "content"], { content: event.content }],
      [["content.body.x", "nothing", "content.nothing", "__proto__", 7], {}],
      [[], {}],
    ] as const
  ) assert.deepEqual(keepFields(event, parseFields(fields)!), kept, JSON.stringify(fields));
  assert.equal(parseFields(undefined), undefined);
  assert.deepEqual(event.content.body, "x");
});

Deno.test("a sync with event_fields has them in timeline and state", async () => {
  await using server = await Server.start();
  const user = await server.register("user");
  const { body: { room_id } } = await user.call("POST", "createRoom", { name: "n" });
  await user.call("PUT", `rooms/${encodeURIComponent(room_id)}/send/m.room.message/t`, {
    msgtype: "m.text",
    body: "hello",
  });
  const filter = {
    event_fields: ["type", "content.body", "content.name"],
    room: { timeline: { limit: 1 } },
  };
  const { body } = await user.call(
    "GET",
    `sync?filter=${encodeURIComponent(JSON.stringify(filter))}`,
  );
  const room = body.rooms.join[room_id];
  assert.deepEqual(room.timeline.events, [{ type: "m.room.message", content: { body: "hello" } }]);
  assert.ok(
    room.state.events.some((one: unknown) =>
      JSON.stringify(one) === '{"type":"m.room.name","content":{"name":"n"}}'
    ),
  );
});
