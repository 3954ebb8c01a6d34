// SPDX-License-Identifier: Apache-2.0

/** Two daemons' ends of the way between them, over real TLS on loopback. */
import assert from "node:assert/strict";
import { connect } from "node:tls";
import { generateSigningKey } from "../../lib/signature/mod.ts";
import { systemClock } from "../../lib/clock.ts";
import { guestOf } from "../web/guest.ts";
import type { Peers } from "./peers.ts";
import { Fleet, HERE, OPERATOR, THERE, warrantOf } from "./testing/fleet.ts";
import { makeLan } from "../web/lan.ts";
import { parseAddress } from "../../lib/carrier/mod.ts";

const PROTOCOL = "bureau.observe.v2";

async function until(what: string, check: () => unknown): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!await check()) {
    if (Date.now() > deadline) throw new Error(`${what}: not in time`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const onLoopback = { listen: { hostname: "127.0.0.1", port: 0 }, addresses: [] };

/** The machine that answers: says who asks, and sends back what it gets. */
function handler(request: Request): Promise<Response> {
  const { userId, who, readOnly, alive } = guestOf(request)!;
  const { pathname, search } = new URL(request.url);
  if (request.headers.get("upgrade") === null) {
    return Promise.resolve(Response.json({ userId, who, readOnly, alive: alive(), pathname }));
  }
  const { socket, response } = Deno.upgradeWebSocket(request, { protocol: PROTOCOL });
  socket.onopen = () => socket.send(search);
  socket.onmessage = ({ data }) => socket.send(data);
  return Promise.resolve(response);
}

async function two(handle = handler): Promise<{ fleet: Fleet; here: Peers }> {
  const fleet = await Fleet.make();
  const here = await fleet.peers(HERE);
  const there = await fleet.peers(THERE, { peer: onLoopback });
  there.open(handle);
  await until("it listens", () => fleet.places.has(THERE));
  return { fleet, here };
}

async function codeOf(response: Promise<Response>): Promise<string> {
  const answer = await response.then((one) => one.json(), (thrown) => ({ error: thrown }));
  return answer.error?.code ?? "none";
}

Deno.test("a request with a warrant is served under its subject, and no other is", async () => {
  const { fleet, here } = await two();
  await using _ = fleet;
  const { operator } = fleet;
  const answer = await here.ask(await warrantOf(operator));
  assert.deepEqual([answer.status, await answer.json()], [200, {
    userId: OPERATOR,
    who: `${OPERATOR} (from here)`,
    readOnly: true,
    alive: true,
    pathname: "/v1/principals",
  }]);
  const ask = async (changes: Parameters<typeof warrantOf>[1], key = operator) =>
    await codeOf(here.ask(await warrantOf(key, changes)));
  assert.equal(await ask({ path: "/v1/status" }), "peer-refused");
  assert.equal(await ask({ path: "/v1/principals/x/kill" }), "peer-refused");
  assert.equal(await ask({}, await generateSigningKey()), "peer-forged");
  const used = await warrantOf(operator);
  assert.equal(await codeOf(here.ask(used)), "none");
  assert.equal(await codeOf(here.ask(used)), "peer-used");
  // Who only has the address, and believes what is there, is told nothing without an assertion.
  const { addresses: [address], certificate } = fleet.places.get(THERE)!;
  const text = await new Promise<string>((resolve, reject) => {
    const { hostname: host, port } = parseAddress(address!);
    const socket = connect({ host, port, ca: certificate, servername: "peer.bureau.internal" });
    let got = "";
    socket.on("data", (data) => got += data);
    socket.on("error", reject);
    socket.on("close", () => resolve(got));
    socket.write("GET /v1/principals HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
  });
  assert.match(text, /^HTTP\/1.1 403 /);
  assert.match(text, /peer-refused/);
});

Deno.test("a terminal goes both ways, in the mode that was signed", async () => {
  const { fleet, here } = await two();
  await using _ = fleet;
  const path = "/v1/principals/agent%2Fa/observe";
  const open = async (signed: "readonly" | "readwrite", asked: string) => {
    const warrant = await warrantOf(fleet.operator, { path, mode: signed });
    const query = new URLSearchParams({ mode: asked });
    const { socket, close } = await here.watch(warrant, query, PROTOCOL);
    const got: string[] = [];
    const outcome = new Promise<boolean>((resolve) => {
      socket.onopen = () => resolve(true);
      socket.onerror = () => resolve(false);
    });
    const closed = new Promise<void>((resolve) => socket.onclose = () => resolve());
    socket.onmessage = ({ data }) => got.push(data);
    return { socket, got, isOpen: await outcome, end: () => (close(), closed) };
  };
  const typist = await open("readwrite", "readwrite");
  assert.ok(typist.isOpen);
  await until("it is greeted", () => typist.got.length === 1);
  assert.equal(typist.got[0], "?mode=readwrite");
  const long = "x".repeat(100_000);
  typist.socket.send(long);
  await until("it comes back", () => typist.got.length === 2);
  assert.equal(typist.got[1], long);
  await typist.end();
  const reader = await open("readonly", "readwrite");
  assert.ok(!reader.isOpen, "what was signed for watching types nothing");
  await reader.end();
});

Deno.test("a machine is taken for itself by its published certificate alone", async () => {
  const { fleet, here } = await two();
  await using _ = fleet;
  const real = fleet.places.get(THERE)!;
  const other = await makeLan("peer.bureau.internal", 0, systemClock);
  fleet.places.set(THERE, { ...real, certificate: other.authority });
  assert.equal(await codeOf(here.ask(await warrantOf(fleet.operator))), "peer-away");
  // Of several addresses the first that is it.
  const nobody = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const dead = `127.0.0.1:${nobody.addr.port}`;
  nobody.close();
  fleet.places.set(THERE, { ...real, addresses: [dead, ...real.addresses] });
  assert.equal(await codeOf(here.ask(await warrantOf(fleet.operator))), "none");
  fleet.places.delete(THERE);
  assert.equal(await codeOf(here.ask(await warrantOf(fleet.operator))), "peer-unknown");
});

Deno.test("a machine that is put out of the fleet is believed no more, also where it is open", async () => {
  const alive: (() => boolean)[] = [];
  const { fleet, here } = await two((request) => {
    alive.push(guestOf(request)!.alive);
    return handler(request);
  });
  await using _ = fleet;
  const path = "/v1/principals/agent%2Fa/observe";
  const warrant = await warrantOf(fleet.operator, { path });
  const { socket, close } = await here.watch(warrant, new URLSearchParams(), PROTOCOL);
  const closed = new Promise<void>((resolve) => socket.onclose = () => resolve());
  await until("it is open", () => alive.length === 1);
  assert.ok(alive[0]!());
  const key = fleet.keys.get(HERE)!;
  fleet.keys.delete(HERE);
  assert.ok(!alive[0]!(), "who watches is put out at the next look");
  // A key that the other machine has not heard of yet: it is asked again until it has.
  const asked = codeOf(here.ask(await warrantOf(fleet.operator)));
  await new Promise((resolve) => setTimeout(resolve, 700));
  assert.equal(alive.length, 1);
  fleet.keys.set(HERE, key);
  assert.equal(await asked, "none");
  close();
  await closed;
});
