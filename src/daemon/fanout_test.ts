// SPDX-License-Identifier: Apache-2.0

/** The fan-out on its own: a sync that the test makes up, readers that are fast, slow, or gone. */
import assert from "node:assert/strict";
import { type Clock, systemClock } from "../lib/clock.ts";
import { createLogger } from "../lib/log.ts";
import type { MatrixEvent, SyncBatch } from "../messaging/mod.ts";
import { readServerSentEvents } from "../lib/sse.ts";
import { DaemonError } from "./errors.ts";
import { Fanout } from "./fanout.ts";
import { Members } from "./fanout_members.ts";
import type { Subscription } from "./fanout_reader.ts";
import { Ring } from "./fanout_ring.ts";

const A = "@a:b";
const B = "@b:b";

let serial = 0;
const message = (body: string): MatrixEvent => ({
  type: "m.room.message",
  sender: "@x:b",
  content: { body },
  event_id: `$${++serial}`,
});
const member = (user: string, membership: string, before?: string): MatrixEvent =>
  ({
    type: "m.room.member",
    sender: user,
    state_key: user,
    content: { membership },
    event_id: `$${++serial}`,
    ...(before === undefined ? {} : { unsigned: { prev_content: { membership: before } } }),
  }) as MatrixEvent;
const batch = (
  room: string,
  timeline: MatrixEvent[],
  more: Partial<SyncBatch> = {},
): SyncBatch => ({
  initial: false,
  joined: [{ room, state: [], timeline, limited: false }],
  invited: [],
  left: [],
  ...more,
});

class World implements Disposable {
  /** What the homeserver says of the rooms' members. */
  readonly rooms: Record<string, string[]> = { "!r": [A] };
  readonly types: (readonly string[])[] = [];
  asked = 0;
  readonly fanout: Fanout;

  constructor(
    options: { maxCount?: number; maxBytes?: number; lingerMs?: number; clock?: Clock } = {},
  ) {
    this.fanout = new Fanout({
      members: (room) => {
        this.asked++;
        return Promise.resolve(this.rooms[room] ?? []);
      },
      onTypes: (types) => this.types.push(types),
      clock: options.clock ?? systemClock,
      log: createLogger("test", {}, () => {}),
      limits: { maxCount: options.maxCount ?? 100, maxBytes: options.maxBytes ?? 1_000_000 },
      lingerMs: options.lingerMs ?? 60_000,
    });
  }

  open(change: Partial<Subscription> = {}): Stream {
    return new Stream(this.fanout.open({
      userId: A,
      rooms: new Set(),
      types: ["m.room.message"],
      position: null,
      mayFollow: () => true,
      verify: () => Promise.resolve(),
      ...change,
    }));
  }

  say(...bodies: string[]): void {
    this.fanout.take(batch("!r", bodies.map(message)));
  }

  [Symbol.dispose](): void {
    this.fanout[Symbol.dispose]();
  }
}

class Stream {
  readonly #events;
  /** The position of what was read last. */
  position = "";

  constructor(response: Response) {
    this.#events = readServerSentEvents(response.body!);
  }

  /** The next event: `event body`, or `kind …`. */
  async next(): Promise<string | null> {
    const { value, done } = await this.#events.next();
    if (done) return null;
    if (value.id !== "") this.position = value.id;
    const data = JSON.parse(value.data);
    if (value.event !== "event") return [value.event, ...Object.values(data)].join(" ");
    const { type, content, state_key } = data.event as MatrixEvent;
    return type === "m.room.member"
      ? `${state_key} ${content["membership"]}`
      : String(content["body"]);
  }

  async take(n: number): Promise<(string | null)[]> {
    const taken = [];
    while (taken.length < n) taken.push(await this.next());
    return taken;
  }

  async close(): Promise<void> {
    await this.#events.return(undefined);
  }
}

Deno.test("Fanout keeps nothing and asks for nothing while nobody follows", () => {
  using world = new World();
  const trap = new Proxy({} as SyncBatch, {
    get() {
      throw new Error("looked at a batch that nobody follows");
    },
  });
  world.fanout.take(trap);
  assert.equal(world.asked, 0);
  assert.deepEqual(world.types, []);
});

Deno.test("Fanout gives a reader the types and rooms it follows, in order", async () => {
  using world = new World();
  world.rooms["!s"] = [A];
  world.rooms["!t"] = [A];
  const all = world.open({ types: ["m.room.*"] });
  const one = world.open({ rooms: new Set(["!s", "!not-there"]) });
  assert.deepEqual(world.types.at(-1), ["m.room.*", "m.room.message"]);
  world.say("1");
  world.fanout.take(batch("!s", [message("2"), { ...message("x"), type: "org.other" }]));
  world.fanout.take(batch("!t", [member("@new:b", "join")]));
  assert.deepEqual(await all.take(4), ["open", "1", "2", "@new:b join"]);
  assert.deepEqual(await one.take(2), ["open", "2"]);
});

Deno.test("who comes along with what they say has not just joined", async () => {
  using world = new World();
  const a = world.open();
  const lazily = (body: string) =>
    batch("!r", [], {
      joined: [{
        room: "!r",
        state: [member(A, "join")],
        timeline: [message(body)],
        limited: false,
      }],
    });
  assert.deepEqual(await a.take(1), ["open"]);
  // Both are there before anything is read.
  world.fanout.take(lazily("first"));
  world.fanout.take(lazily("second"));
  assert.deepEqual(await a.take(2), ["first", "second"]);
  world.fanout.take(lazily("third"));
  world.fanout.take(lazily("fourth"));
  assert.deepEqual(await a.take(2), ["third", "fourth"]);
});

Deno.test("a member reads a room from its join to its leave, and others read nothing", async () => {
  using world = new World();
  const a = world.open();
  const b = world.open({ userId: B, types: ["m.room.message", "m.room.member"] });
  assert.deepEqual(await b.take(1), ["open"]);
  world.say("before");
  world.fanout.take(batch("!r", [member(B, "join")]));
  world.rooms["!r"] = [A, B];
  world.say("while");
  assert.deepEqual(await b.take(2), ["@b:b join", "while"]);
  world.say("sent, then put out before it was read");
  world.fanout.take(batch("!r", [member(B, "leave", "join")]));
  world.say("after");
  assert.deepEqual(await b.take(1), ["@b:b leave"]);
  world.fanout.take(batch("!r", [member(B, "invite", "leave"), member(B, "join", "invite")]));
  world.say("again");
  assert.deepEqual(await b.take(3), ["@b:b invite", "@b:b join", "again"]);
  assert.deepEqual(await a.take(6), [
    "open",
    "before",
    "while",
    "sent, then put out before it was read",
    "after",
    "again",
  ]);
});

Deno.test("a reader cannot resume into what came before it joined", async () => {
  using world = new World();
  const a = world.open();
  await a.next();
  const begin = a.position;
  world.say("before");
  world.fanout.take(batch("!r", [member(B, "join")]));
  world.rooms["!r"] = [A, B];
  world.say("after");
  const b = world.open({ userId: B, position: begin });
  assert.deepEqual(await b.take(2), ["open", "after"]);
  // The control: who was in it all the time reads both.
  const again = world.open({ position: begin });
  assert.deepEqual(await again.take(3), ["open", "before", "after"]);
});

Deno.test("a leave that comes while the members are asked for counts", async () => {
  const answer = Promise.withResolvers<string[]>();
  const members = new Members(() => answer.promise);
  const loaded = members.load("!r");
  members.apply("!r", member(A, "leave", "join"), 7);
  members.apply("!r", member(B, "join"), 8);
  answer.resolve([A, "@c:b"]);
  await loaded;
  assert.deepEqual([...members.joined("!r")!].sort(), [[B, 8], ["@c:b", 0]]);
});

Deno.test("members are asked for anew after a gap, and who was in the room still is", async () => {
  let now = [A];
  const members = new Members(() => Promise.resolve(now));
  await members.load("!r");
  members.gap("!r", 9);
  assert.equal(members.joined("!r"), null);
  now = [A, B];
  await members.load("!r");
  assert.deepEqual([...members.joined("!r")!], [[A, 0], [B, 9]]);
});

Deno.test("a failure to ask for members shows nobody anything, and loses nothing", async () => {
  let failures = 2;
  const fanout = new Fanout({
    members: () => failures-- > 0 ? Promise.reject(new Error("away")) : Promise.resolve([A]),
    onTypes() {},
    clock: systemClock,
    log: createLogger("test", {}, () => {}),
  });
  try {
    const stream = new Stream(fanout.open({
      userId: A,
      rooms: new Set(),
      types: ["m.room.message"],
      position: null,
      mayFollow: () => true,
      verify: () => Promise.resolve(),
    }));
    fanout.take(batch("!r", [message("1")]));
    assert.deepEqual(await stream.take(2), ["open", "1"]);
  } finally {
    fanout[Symbol.dispose]();
  }
});

Deno.test("a reader that went away resumes where it was, while it is waited for", async () => {
  using world = new World();
  const first = world.open();
  world.say("1", "2");
  assert.deepEqual(await first.take(3), ["open", "1", "2"]);
  await first.close();
  assert.equal(world.fanout.readers, 0);
  world.say("3");
  const second = world.open({ position: first.position });
  assert.deepEqual(await second.take(2), ["open", "3"]);
});

Deno.test("a reader that comes back too late, or from another life, is told to begin anew", async () => {
  using world = new World({ maxCount: 4 });
  const first = world.open();
  await first.next();
  world.say("1", "2", "3", "4", "5");
  for (
    const position of [
      first.position,
      "0123456789abcdef-0",
      "nonsense",
      world.fanout.position + "9",
    ]
  ) {
    const stream = world.open({ position });
    world.say("6");
    assert.deepEqual(await stream.take(2), ["reset the position is too old", "6"]);
    await stream.close();
  }
});

Deno.test("what is kept ends when nobody came back in time, and old positions with it", async () => {
  using world = new World({ lingerMs: 1 });
  const first = world.open();
  await first.next();
  await first.close();
  const end = Date.now() + 15_000;
  while (world.fanout.isActive && Date.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.equal(world.fanout.isActive, false);
  assert.deepEqual(world.types.at(-1), []);
  world.say("missed");
  const second = world.open({ position: first.position });
  assert.deepEqual(await second.take(1), ["reset the position is too old"]);
});

Deno.test("a full sync and a gap are told as what they are", async () => {
  using world = new World();
  const stream = world.open();
  await stream.next();
  world.fanout.take({
    ...batch("!r", []),
    joined: [{ room: "!r", state: [], timeline: [message("1")], limited: true }],
  });
  assert.deepEqual(await stream.take(2), ["gap !r", "1"]);
  world.fanout.take(batch("!r", [message("old")], { initial: true }));
  world.say("2");
  assert.deepEqual(await stream.take(2), ["reset the stream began anew", "2"]);
});

Deno.test("a reader that takes nothing is cut off with the reason, and delays nobody", async () => {
  let now = 1_000;
  using world = new World({ maxCount: 100, clock: { ...systemClock, now: () => now } });
  const slow = world.open();
  const fast = world.open();
  assert.deepEqual(await fast.take(1), ["open"]);
  assert.deepEqual(await slow.take(1), ["open"]);
  const long = "x".repeat(50_000);
  // So many that the stream's own room is full; the rest waits in the ring.
  for (let n = 0; n < 20; n++) {
    world.say(`${n} ${long}`);
    assert.match((await fast.next())!, new RegExp(`^${n} `));
  }
  assert.equal(world.fanout.readers, 2);
  now += 5_000;
  for (let n = 20; n < 90; n++) {
    world.say(`${n}`);
    assert.equal(await fast.next(), `${n}`);
  }
  assert.equal(world.fanout.readers, 1);
  const seen: (string | null)[] = [];
  for (let one = await slow.next(); one !== null; one = await slow.next()) seen.push(one);
  assert.equal(seen.at(-1), "cut too-slow");
  // It was cut off in time to go on without a loss.
  const resumed = world.open({ position: slow.position });
  assert.equal(await resumed.next(), "open");
  for (let n = seen.length - 1; n < 90; n++) {
    assert.match((await resumed.next())!, new RegExp(`^${n}( |$)`));
  }
});

Deno.test("a reader whose right or session ends is cut off before the next event", async () => {
  let may = true;
  let known = true;
  let now = 1_000;
  using world = new World({ clock: { ...systemClock, now: () => now } });
  const judged = world.open({ mayFollow: () => may });
  const revoked = world.open({
    verify() {
      if (known) return Promise.resolve();
      return Promise.reject(new DaemonError("unauthenticated", "Cannot serve: revoked"));
    },
  });
  const away = world.open({
    verify() {
      if (known) return Promise.resolve();
      return Promise.reject(new DaemonError("homeserver-away", "Cannot ask"));
    },
  });
  assert.equal(await away.next(), "open");
  assert.deepEqual([await judged.next(), await revoked.next()], ["open", "open"]);
  world.say("1");
  assert.deepEqual([await judged.next(), await revoked.next()], ["1", "1"]);
  may = false;
  known = false;
  now += 120_000;
  world.say("2");
  assert.equal(await judged.next(), "cut forbidden");
  assert.equal(await judged.next(), null);
  assert.equal(await revoked.next(), "cut unauthenticated");
  assert.deepEqual(await away.take(2), ["1", "2"]);
});

Deno.test("Fanout refuses more streams than it serves", () => {
  using world = new World();
  for (let n = 0; n < 8; n++) world.open();
  assert.throws(() => world.open(), { code: "too-many", status: 429 });
  world.open({ userId: B });
});

Deno.test("Ring holds no more than its limits, by count and by bytes", () => {
  const ring = new Ring({ maxCount: 10, maxBytes: 1_000 });
  const push = (json: string) =>
    ring.push({ kind: "event", room: "!r", type: "t", member: null, json });
  for (let n = 0; n < 50; n++) push("x");
  assert.deepEqual([ring.first, ring.last], [41, 50]);
  push("y".repeat(995));
  assert.equal(ring.first, 46);
  push("z".repeat(5_000));
  assert.equal(ring.first, ring.last, "one that is longer than all is kept alone");
  assert.equal(ring.resume(ring.positionOf(ring.last)), ring.last);
  assert.equal(ring.resume(ring.positionOf(ring.last - 2)), null);
  const before = ring.positionOf(ring.last);
  ring.restart();
  assert.equal(ring.resume(before), null);
});
