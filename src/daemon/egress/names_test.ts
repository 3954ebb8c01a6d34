// SPDX-License-Identifier: Apache-2.0

/** Names, and which of their addresses is connected to. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { Resolver } from "node:dns/promises";
import { interleave, raceConnect } from "./eyeballs.ts";
import { NameCache } from "./name_cache.ts";
import { type Answer, askDns } from "./resolve.ts";

const never = new AbortController().signal;

function fakeClock() {
  let now = 1_000_000;
  return {
    now: () => now,
    sleep: () => Promise.reject(new Error("nobody sleeps here")),
    pass: (ms: number) => now += ms,
  };
}

Deno.test("NameCache asks again when the TTL is over, and shares one question", async () => {
  const clock = fakeClock();
  let asked = 0;
  const cache = new NameCache({
    clock,
    lookup: () => Promise.resolve({ addresses: [`192.0.2.${++asked}`], ttlMs: 60_000 }),
  });
  const both = await Promise.all([cache.resolve("a", never), cache.resolve("a", never)]);
  assert.deepEqual(both, [["192.0.2.1"], ["192.0.2.1"]]);
  clock.pass(59_999);
  assert.deepEqual(await cache.resolve("a", never), ["192.0.2.1"]);
  clock.pass(1);
  assert.deepEqual(await cache.resolve("a", never), ["192.0.2.2"]);
  assert.deepEqual({ ...cache.counters }, { hits: 2, misses: 2 });
});

Deno.test("NameCache remembers a failure for seconds and a TTL of days for an hour", async () => {
  const clock = fakeClock();
  let asked = 0;
  const cache = new NameCache({
    clock,
    lookup: (host): Promise<Answer> => {
      asked++;
      return host === "none"
        ? Promise.reject(new Error("no such name"))
        : Promise.resolve({ addresses: ["192.0.2.1"], ttlMs: 864e5 });
    },
  });
  for (let i = 0; i < 3; i++) await assert.rejects(cache.resolve("none", never), /no such name/);
  assert.equal(asked, 1);
  clock.pass(5_000);
  await assert.rejects(cache.resolve("none", never));
  assert.equal(asked, 2);
  await cache.resolve("long", never);
  clock.pass(3_600_000);
  await cache.resolve("long", never);
  assert.equal(asked, 4);
});

Deno.test("NameCache stays small and forgets what was not used for longest", async () => {
  const asked: string[] = [];
  const cache = new NameCache({
    maxNames: 2,
    clock: fakeClock(),
    lookup: (host) => {
      asked.push(host);
      return Promise.resolve({ addresses: ["192.0.2.1"], ttlMs: 1000 });
    },
  });
  for (const host of ["a", "b", "a", "c", "a", "b"]) await cache.resolve(host, never);
  assert.equal(cache.size, 2);
  assert.deepEqual(asked, ["a", "b", "c", "b"]);
});

Deno.test("NameCache lets a caller go whose time is up, and keeps the answer for others", async () => {
  const answer = Promise.withResolvers<Answer>();
  const cache = new NameCache({ lookup: () => answer.promise });
  const leaving = new AbortController();
  const left = cache.resolve("slow", leaving.signal);
  const stays = cache.resolve("slow", never);
  leaving.abort();
  await assert.rejects(left);
  answer.resolve({ addresses: ["192.0.2.1"], ttlMs: 1000 });
  assert.deepEqual(await stays, ["192.0.2.1"]);
});

/** Answers A and AAAA with their own TTL; `none.*` does not exist. */
async function fakeDns(): Promise<{ port: number; close(): Promise<void>; asked: string[] }> {
  const socket = createSocket("udp4");
  const asked: string[] = [];
  socket.on("message", (bytes, from) => {
    const labels: string[] = [];
    let at = 12;
    while (bytes[at]! > 0) {
      labels.push(new TextDecoder().decode(bytes.subarray(at + 1, at + 1 + bytes[at]!)));
      at += bytes[at]! + 1;
    }
    const type = bytes[at + 2]!;
    asked.push(`${labels.join(".")} ${type}`);
    const data = type === 1 ? [203, 0, 114, 9] : [0x26, ...new Array(14).fill(0), 1];
    const known = labels[0] !== "none";
    const reply = [...bytes.subarray(0, 2), 0x81, known ? 0x80 : 0x83];
    reply.push(0, 1, 0, known ? 1 : 0, 0, 0, 0, 0, ...bytes.subarray(12, at + 5));
    if (known) {
      reply.push(0xc0, 12, 0, type, 0, 1, 0, 0, 0, type === 1 ? 77 : 99, 0, data.length, ...data);
    }
    socket.send(new Uint8Array(reply), from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  return {
    port: socket.address().port,
    close: () => new Promise((resolve) => socket.close(() => resolve())),
    asked,
  };
}

Deno.test("askDns() gives both families and the shorter TTL, of the very name", async () => {
  const server = await fakeDns();
  try {
    const resolver = new Resolver();
    resolver.setServers([`127.0.0.1:${server.port}`]);
    const answer = await askDns("host.example.com", resolver);
    assert.deepEqual(answer, { addresses: ["2600::1", "203.0.114.9"], ttlMs: 77_000 });
    await assert.rejects(askDns("none.example.com", resolver), { code: "ENOTFOUND" });
    // No search list made another name of it.
    assert.ok(server.asked.every((name) => /^(host|none)\.example\.com (1|28)$/.test(name)));
  } finally {
    await server.close();
  }
});

Deno.test("interleave() begins with IPv6 and takes turns", () => {
  assert.deepEqual(interleave(["1.1.1.1", "1.0.0.1", "2600::1", "9.9.9.9"]), [
    "2600::1",
    "1.1.1.1",
    "1.0.0.1",
    "9.9.9.9",
  ]);
});

/** A connection that only knows whether it was closed. */
function fakeConnection(): { closed: boolean; connection: Deno.TcpConn } {
  const fake = { closed: false, close: () => void (fake.closed = true) };
  return {
    get closed() {
      return fake.closed;
    },
    connection: fake as unknown as Deno.TcpConn,
  };
}

Deno.test("raceConnect() starts IPv4 while IPv6 hangs, and gives up the loser", async () => {
  const dialled: string[] = [];
  const late = fakeConnection();
  let lateArrives = () => {};
  const won = await raceConnect(["203.0.113.1", "2600::1"], 443, {
    signal: never,
    staggerMs: 1,
    dial: (address, _port, signal) => {
      dialled.push(address);
      if (!address.includes(":")) return Promise.resolve(fakeConnection().connection);
      return new Promise((resolve) => {
        signal.addEventListener("abort", () => dialled.push("given up"));
        lateArrives = () => resolve(late.connection);
      });
    },
  });
  assert.equal(won.address, "203.0.113.1");
  assert.deepEqual(dialled, ["2600::1", "203.0.113.1", "given up"]);
  // It was under way when it lost.
  lateArrives();
  await Promise.resolve().then(() => {});
  assert.ok(late.closed);
});

Deno.test("raceConnect() goes on at once when an attempt fails, and tells the last failure", async () => {
  const dialled: string[] = [];
  const options = { signal: never, staggerMs: 3_600_000 };
  const won = await raceConnect(["192.0.2.1", "2600::1", "192.0.2.2"], 443, {
    ...options,
    dial: (address) => {
      dialled.push(address);
      return address === "192.0.2.2"
        ? Promise.resolve(fakeConnection().connection)
        : Promise.reject(new Error("refused"));
    },
  });
  assert.equal(won.address, "192.0.2.2");
  assert.equal(dialled.length, 3);
  const fails = raceConnect(["192.0.2.1", "2600::1"], 443, {
    ...options,
    dial: (address) => Promise.reject(new Error(`no ${address}`)),
  });
  await assert.rejects(fails, /no 192\.0\.2\.1/);
});

Deno.test("raceConnect() ends when its time is up", async () => {
  const deadline = new AbortController();
  const raced = raceConnect(["2600::1", "192.0.2.1"], 443, {
    signal: deadline.signal,
    staggerMs: 3_600_000,
    dial: (_address, _port, signal) =>
      new Promise((_resolve, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason))
      ),
  });
  deadline.abort();
  await assert.rejects(raced);
});
