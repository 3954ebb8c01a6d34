// SPDX-License-Identifier: Apache-2.0

/** What in a room is a task, and what an answer. */
import assert from "node:assert/strict";
import { History, ME } from "./testing/history.ts";

Deno.test("notices, edits, one's own words and what is for others are no tasks", async () => {
  const history = new History();
  history.add("@ada:b", { msgtype: "m.notice", body: "x" });
  history.ask("x", { "m.relates_to": { rel_type: "m.replace", event_id: "$0" } });
  history.add(ME, { msgtype: "m.text", body: "x" });
  history.ask("x", { "m.mentions": { user_ids: ["@other:b"] } });
  const mine = history.ask("x", { "m.mentions": { user_ids: ["@other:b", ME] } });
  const room = history.room();
  assert.deepEqual((await room.unanswered()).map(({ id }) => id), [mine]);
  assert.deepEqual(await room.unanswered(), []);
});

Deno.test("an answer of before is one; what its program writes by itself is none, though it be a reply", async () => {
  const history = new History();
  const replyTo = (id: string, msgtype: string) =>
    history.add(ME, {
      msgtype,
      body: "x",
      "m.relates_to": { "m.in_reply_to": { event_id: id } },
    });
  const [first, second] = [history.ask("x"), history.ask("x")];
  replyTo(first, "m.notice");
  replyTo(second, "m.text");
  assert.deepEqual((await history.room().unanswered()).map(({ id }) => id), [second]);
});

Deno.test("an answer that is too long for an event is cut, and says so", async () => {
  const history = new History();
  history.ask("x");
  const room = history.room();
  await room.answer(await room.unanswered(), "é".repeat(100_000), null);
  const body = String(history.events.at(-1)!.content["body"]);
  assert.ok(new TextEncoder().encode(JSON.stringify(body)).length < 60_000);
  assert.match(body, /90000 characters left out/);
});
