// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import type { Exchange } from "../conformance/world.ts";
import { compare, judge } from "./compare.ts";
import { Names, normalise } from "./normalise.ts";

const exchange = (body: unknown, path = "/_matrix/client/v3/rooms/x/messages"): Exchange => ({
  actor: "alice",
  method: "GET",
  path,
  status: 200,
  body,
});

const ROOM = ["!aaaaaaaaaaaaaaaaaa:one.test", "!bbbbbbbbbbbbbbbbbb:two.test"] as const;
const event = (id: string, server: string, type: string) => ({
  event_id: `$${id.repeat(43)}`,
  type,
  sender: `@alice-1:${server}`,
  origin_server_ts: id.charCodeAt(0),
  content: {},
});

function alike(a: Exchange, b: Exchange): Exchange[] {
  const given = new Map([["alice-1", "alice"]]);
  return [normalise(a, new Names(given, "one.test")), normalise(b, new Names(given, "two.test"))];
}

Deno.test("normalise() makes answers alike that differ in what homeservers make up", () => {
  const [one, two] = alike(
    exchange({ room_id: ROOM[0], next_batch: "s1", chunk: [event("a", "one.test", "m.x")] }),
    exchange({ room_id: ROOM[1], next_batch: "t_9", chunk: [event("b", "two.test", "m.x")] }),
  );
  assert.deepEqual(one, two);
});

Deno.test("normalise() sorts state before it names ids, and keeps a timeline's order", () => {
  const state = "/_matrix/client/v3/rooms/x/state";
  const events = (server: string) => [event("a", server, "m.x"), event("b", server, "m.y")];
  const [one, two] = alike(
    exchange(events("one.test"), state),
    exchange(events("two.test").reverse(), state),
  );
  assert.deepEqual(one, two);
  const [first, second] = alike(
    exchange({ chunk: events("one.test") }),
    exchange({ chunk: events("two.test").reverse() }),
  );
  assert.notDeepEqual(first, second);
});

Deno.test("judge() reports what is not listed, and what is listed and gone", () => {
  const differences = compare(
    "topic: scenario",
    [exchange({ a: 1, b: [{ c: 1 }] })],
    [exchange({ a: 2, b: [{ c: 1, d: 1 }] })],
  );
  assert.deepEqual(differences.map(({ at }) => at), ["body.a", "body.b[].d"]);
  const known = { at: /^body\.a$/, reason: "known" };
  const added = { at: /^body\.b\[\]\.d$/, missing: "embedded" as const, reason: "added" };
  assert.deepEqual(judge(differences, [known, added]), { unlisted: [], gone: [] });
  assert.deepEqual(judge(differences, [known]).unlisted.map(({ at }) => at), ["body.b[].d"]);
  const gone = { at: /^body\.z$/, reason: "was so" };
  assert.deepEqual(judge(differences, [known, added, gone]).gone, [gone]);
  // The other way round it is another difference.
  const wrong = { ...added, missing: "synapse" as const };
  assert.deepEqual(judge(differences, [known, wrong]).unlisted.length, 1);
});

Deno.test("compare() tells of a status and of a different number of requests", () => {
  const failed = { ...exchange({}), status: 404 };
  const found = compare("s", [exchange({}), exchange({})], [failed]);
  assert.deepEqual(found.map(({ at }) => at), ["requests", "status"]);
});
