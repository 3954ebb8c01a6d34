// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { EventType } from "../lib/schema/mod.ts";
import { type Malformed, type MatrixEvent, RoomStates } from "./mod.ts";

const state = (
  type: string,
  key: string,
  content: Record<string, unknown>,
  id: string | undefined = `$${type}/${key}`,
): MatrixEvent => ({
  type,
  state_key: key,
  sender: "@a:b",
  content,
  ...(id === undefined ? {} : { event_id: id }),
});
const KEY = { algorithm: "age-x25519", public_key: "age1" };

Deno.test("RoomStates reads by type, parses once, and keeps what it doesn't know", () => {
  const states = new RoomStates();
  states.apply("!r", state(EventType.machineKey, "m", { ...KEY, later: 1 }));
  states.apply("!r", state("org.example.unheard", "", { any: ["thing"] }));
  const first = states.read("!r", EventType.machineKey, "m");
  assert.ok(first?.ok);
  assert.deepEqual(first.value, KEY);
  assert.equal(first.sender, "@a:b");
  assert.equal(states.read("!r", EventType.machineKey, "m"), first);
  states.apply("!r", state(EventType.machineKey, "m", { ...KEY, later: 1 }));
  assert.equal(states.read("!r", EventType.machineKey, "m"), first, "the same event came again");
  states.apply("!r", state(EventType.machineKey, "m", { ...KEY, public_key: "age2" }, "$2"));
  const second = states.read("!r", EventType.machineKey, "m");
  assert.ok(second?.ok && second.value?.public_key === "age2");
  assert.deepEqual(states.get("!r", "org.example.unheard")?.content, { any: ["thing"] });
  assert.equal(states.read("!r", EventType.machineKey, "none"), undefined);
  assert.equal(states.read("!none", EventType.machineKey, "m"), undefined);
});

Deno.test("RoomStates tells of a malformed event once, by its id, and goes on", () => {
  const told: Malformed[] = [];
  const states = new RoomStates({ onMalformed: (one) => told.push(one) });
  const bad = state(EventType.machineKey, "bad", { algorithm: "rot13" });
  states.apply("!r", bad);
  states.apply("!r", state(EventType.machineKey, "good", KEY));
  states.apply("!r", state(EventType.machineKey, "cleared", {}));
  assert.equal(told.length, 0, "nobody asked for it yet");
  for (let n = 0; n < 3; n++) {
    assert.deepEqual([...states.readAll("!r", EventType.machineKey)], [
      { key: "good", sender: "@a:b", value: KEY },
    ]);
    // A full sync brings everything anew.
    if (n === 1) {
      states.clear();
      states.apply("!r", state(EventType.machineKey, "good", KEY));
      states.apply("!r", bad);
    }
  }
  assert.equal(told.length, 1);
  const { error, ...where } = told[0]!;
  assert.deepEqual(where, {
    room: "!r",
    type: EventType.machineKey,
    key: "bad",
    sender: "@a:b",
    eventId: `$${EventType.machineKey}/bad`,
  });
  assert.match(error.message, /missing or wrong algorithm, public_key/);
  const read = states.read("!r", EventType.machineKey, "bad");
  assert.equal(read?.ok, false);
  states.apply("!r", state(EventType.machineKey, "bad", { algorithm: "rot14" }, "$other"));
  states.read("!r", EventType.machineKey, "bad");
  assert.equal(told.length, 2, "another event is another matter");
});

Deno.test("RoomStates takes any content without throwing", () => {
  const told: Malformed[] = [];
  const states = new RoomStates({ onMalformed: (one) => told.push(one) });
  const contents: unknown[] = [null, 1, "x", [], { version: 99 }, { __proto__: null, a: 1 }];
  for (const [n, content] of contents.entries()) {
    states.apply("!r", state(EventType.assignment, `${n}`, content as Record<string, unknown>));
    assert.notEqual(states.read("!r", EventType.assignment, `${n}`), undefined);
  }
  assert.ok(told.length >= 4);
  assert.ok(told.some(({ error }) => error.code === "newer"));
});
