// SPDX-License-Identifier: Apache-2.0

/** Against a server that speaks `bureau.observe.v2` and breaks connections wherever a test wants it to. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeFrame, encodeFrame, type ObserveDown } from "../../observe/api.ts";
import { Incoming } from "./incoming.ts";
import { ObserveStream, type Viewer } from "./stream.ts";

interface Asked {
  readonly stream: string | null;
  readonly offset: number | null;
  readonly since: string | null;
}

/** What one connection sends before it breaks; an empty list: it refuses. */
type Script = (asked: Asked) => (ObserveDown | Uint8Array<ArrayBuffer>)[];

class Server implements AsyncDisposable {
  readonly asked: Asked[] = [];
  readonly typed: Uint8Array[] = [];
  readonly acks: number[][] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  /** @param polite it waits until all it sent is acknowledged before it closes */
  constructor(scripts: readonly Script[], polite = false) {
    this.#server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
      const query = new URL(request.url).searchParams;
      const offset = query.get("offset");
      const asked = {
        stream: query.get("stream"),
        offset: offset === null ? null : Number(offset),
        since: query.get("since"),
      };
      const frames = scripts[this.asked.length]?.(asked) ?? [];
      this.asked.push(asked);
      if (frames.length === 0) return new Response(null, { status: 502 });
      const { socket, response } = Deno.upgradeWebSocket(request);
      socket.binaryType = "arraybuffer";
      const acks: number[] = [];
      let sent = 0;
      this.acks.push(acks);
      socket.onmessage = ({ data }) => {
        if (typeof data !== "string") this.typed.push(new Uint8Array(data));
        else if (JSON.parse(data).type === "ack") {
          acks.push(JSON.parse(data).bytes);
          if (polite && acks.at(-1) === sent) socket.close();
        }
      };
      socket.onopen = () => {
        for (const frame of frames) {
          const isBytes = frame instanceof Uint8Array;
          if (isBytes) sent += decodeFrame(frame)!.bytes.length;
          socket.send(isBytes ? frame : JSON.stringify(frame));
        }
        if (!polite) socket.close();
      };
      return response;
    });
  }

  connect = (query: Record<string, string>): Incoming =>
    new Incoming(
      new WebSocket(`ws://127.0.0.1:${this.#server.addr.port}/?${new URLSearchParams(query)}`),
    );

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

class Seen implements Viewer {
  readonly bytes: number[] = [];
  readonly story: string[] = [];
  metadata = () => void this.story.push("metadata");
  output = (bytes: Uint8Array) => void this.bytes.push(...bytes);
  snapshot = (_: unknown, bytes: Uint8Array) => void this.story.push(`snapshot ${bytes.length}`);
  size = () => {};
  gap = (lost: number | null) => void this.story.push(`gap ${lost}`);
  people = () => {};
  mode = () => {};
  bell = () => {};
  title = () => {};
  screen = () => {};
  lost = () => void this.story.push("lost");
}

const metadata = (stream: string, offset: number): ObserveDown => ({
  type: "metadata",
  version: 2,
  principal: "bureau/fleet/dev/agent/scribe",
  machine: "@m:s",
  stream,
  offset,
  cols: 80,
  rows: 24,
  mode: "readwrite",
  watcher: "w1",
  writer: null,
  watchers: [],
});
const output = (all: Uint8Array, from: number, to: number) =>
  encodeFrame({ kind: "output", offset: from, bytes: all.subarray(from, to) });
const exit: ObserveDown = { type: "exit", reason: "the program ended" };
const now = { now: () => 0, sleep: () => Promise.resolve() };

async function follow(
  server: Server,
  more: { since?: number; wait?: boolean; over?: () => Promise<string | null> } = {},
): Promise<{ seen: Seen; stream: ObserveStream; reason: string | null }> {
  const seen = new Seen();
  const stream = new ObserveStream(seen, {
    mode: "readwrite",
    size: () => ({ cols: 80, rows: 24 }),
    connect: server.connect,
    over: () => Promise.resolve(null),
    clock: now,
    signal: new AbortController().signal,
    ...more,
  });
  const reason = await stream.run(server.connect(stream.query()));
  return { seen, stream, reason };
}

Deno.test("wherever connections break, each byte comes once", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ minLength: 1, maxLength: 300 }),
      fc.array(fc.record({ upTo: fc.nat(300), overlap: fc.nat(20), refuses: fc.boolean() }), {
        maxLength: 5,
      }),
      async (all, breaks) => {
        const part = (from: number, to: number): Uint8Array<ArrayBuffer>[] => {
          const middle = Math.floor((from + to) / 2);
          return [output(all, from, middle), output(all, middle, to)];
        };
        const begins = ({ offset }: Asked) => [metadata("s1", offset ?? 0)];
        await using server = new Server([
          ...breaks.map(({ upTo, overlap, refuses }, at): Script => (asked) => {
            if (refuses && at > 0) return [];
            const from = asked.offset ?? 0;
            // A relay may begin a little earlier than it was asked to.
            const start = Math.max(0, from - overlap);
            const to = Math.max(from, Math.min(upTo, all.length));
            return [...begins(asked), ...part(start, to)];
          }),
          (asked) => [...begins(asked), ...part(asked.offset ?? 0, all.length), exit],
        ]);
        const { seen, reason } = await follow(server);
        assert.equal(reason, "the program ended");
        assert.deepEqual(seen.bytes, [...all]);
        assert.ok(!seen.story.some((word) => word.startsWith("gap")), seen.story.join());
      },
    ),
    { numRuns: 25 },
  );
});

Deno.test("what is missing is told once, whether the relay says so or not", async () => {
  const all = Uint8Array.from({ length: 100 }, (_, at) => at);
  const told: ObserveDown = { type: "gap", lost_bytes: 30, reason: "too late" };
  const snapshot = encodeFrame({
    kind: "snapshot",
    offset: 40,
    cols: 80,
    rows: 24,
    bytes: new Uint8Array(5),
  });
  await using server = new Server([
    () => [metadata("s1", 0), output(all, 0, 10)],
    // Told, with a screen.
    () => [metadata("s1", 40), told, snapshot, output(all, 40, 50)],
    // Not told.
    () => [metadata("s1", 60), output(all, 60, 70)],
    // Another life of the relay.
    () => [metadata("s2", 0), snapshot, output(all, 40, 41), exit],
  ]);
  const { seen, stream } = await follow(server);
  assert.deepEqual(server.asked.map(({ stream, offset }) => [stream, offset]), [
    [null, null],
    ["s1", 10],
    ["s1", 50],
    ["s1", 70],
  ]);
  assert.deepEqual(seen.story, [
    "metadata",
    "lost",
    "metadata",
    "gap 30",
    "snapshot 5",
    "lost",
    "metadata",
    "gap 10",
    "lost",
    "metadata",
    "gap null",
    "snapshot 5",
  ]);
  assert.deepEqual(stream.position, { stream: "s2", offset: 41 });
});

Deno.test("a connection that breaks before its screen came is no beginning", async () => {
  const snapshot = (offset: number) =>
    encodeFrame({ kind: "snapshot", offset, cols: 80, rows: 24, bytes: new Uint8Array(5) });
  await using server = new Server([
    () => [metadata("s1", 700)],
    () => [metadata("s1", 700), snapshot(700)],
    () => [metadata("s2", 30)],
    () => [metadata("s2", 40), snapshot(40), exit],
  ]);
  const { seen } = await follow(server, { since: 600 });
  assert.deepEqual(server.asked, [
    { stream: null, offset: null, since: "600" },
    { stream: null, offset: null, since: "600" },
    { stream: "s1", offset: 700, since: null },
    { stream: null, offset: null, since: null },
  ]);
  assert.equal(seen.story.filter((word) => word === "gap null").length, 1, seen.story.join());
});

Deno.test("what was received is acknowledged, for each connection anew", async () => {
  const all = new Uint8Array(40_000);
  await using server = new Server([
    () => [metadata("s1", 0), output(all, 0, 20_000), output(all, 20_000, 20_005)],
    () => [metadata("s1", 20_005), output(all, 20_005, 20_010), exit],
  ], true);
  await follow(server);
  assert.deepEqual(server.acks, [[0, 20_000, 20_005], [0, 5]]);
});

Deno.test("history is asked for once, and the end is none for who waits", async () => {
  const all = new Uint8Array(10);
  let asked = 0;
  await using server = new Server([
    () => [metadata("s1", 0), output(all, 0, 5), exit],
    () => [metadata("s1", 5), output(all, 5, 10), exit],
    () => [metadata("s1", 10), exit],
  ]);
  const stop = new AbortController();
  const seen = new Seen();
  const stream = new ObserveStream(seen, {
    mode: "readonly",
    size: () => ({ cols: 80, rows: 24 }),
    since: 600,
    wait: true,
    connect: server.connect,
    over: () => {
      // Away for a while, then there again, then nobody waits any more.
      if (++asked === 4) stop.abort();
      return Promise.resolve(asked === 1 ? "it is stopped" : null);
    },
    clock: now,
    signal: stop.signal,
  });
  assert.equal(await stream.run(server.connect(stream.query())), null);
  assert.equal(seen.bytes.length, 10);
  assert.deepEqual(server.asked.map(({ since }) => since), ["600", null, null]);
});

Deno.test("a socket that nobody listens on is tried again, and left when that is wanted", async () => {
  const client = Deno.createHttpClient({
    proxy: { transport: "unix", path: "/tmp/b-nobody.sock" },
  });
  const stop = new AbortController();
  let tries = 0;
  const connect = () => {
    if (++tries === 3) stop.abort();
    return new Incoming(new WebSocket("ws://192.0.2.1/", { client }));
  };
  const stream = new ObserveStream(new Seen(), {
    mode: "readonly",
    size: () => ({ cols: 80, rows: 24 }),
    connect: async () => await Promise.resolve(connect()),
    over: () => Promise.resolve(null),
    clock: now,
    signal: stop.signal,
  });
  assert.equal(await stream.run(connect()), null);
  assert.equal(tries, 3);
  client.close();
});

Deno.test("keystrokes go where there is a connection", () => {
  const stream = new ObserveStream(new Seen(), {
    mode: "readwrite",
    size: () => ({ cols: 80, rows: 24 }),
    connect: () => new Incoming(new WebSocket("ws://127.0.0.1:1")),
    over: () => Promise.resolve(null),
    signal: new AbortController().signal,
  });
  assert.equal(stream.type(new Uint8Array([1])), false);
  assert.equal(stream.send({ type: "take" }), false);
});
