// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createProxyClient, ProxyClientError } from "../lib/proxyclient/mod.ts";
import { readServerSentEvents } from "../lib/sse.ts";
import { parseSaid, type Said, SaidAttention } from "./attention.ts";
import { withProxy } from "./testing/harness.ts";

Deno.test("parseSaid() makes one short line of a message, and refuses other states", () => {
  const of = (message: unknown) => parseSaid({ state: "waiting", message }, 7);
  assert.deepEqual(of("which\x1b]52;c;x\x07 one?\n"), {
    state: "waiting",
    message: "which ]52;c;x  one?",
    at: 7,
  });
  assert.equal(of(null).message, null);
  assert.equal(of(undefined).message, null);
  assert.equal(of(" \n").message, null);
  assert.equal([...of("é".repeat(500)).message!].length, 200);
  assert.equal(of("\ud800").message, "\ufffd");
  assert.throws(() => of(3), /"message" is no text/);
  for (const state of ["Waiting", "", null, 1, "failed"]) {
    assert.throws(() => parseSaid({ state }, 0), /"state" is none of/);
  }
});

Deno.test("SaidAttention tells the present word at once and only the newest of a flood", async () => {
  const attention = new SaidAttention();
  const say = (at: number) => attention.say({ state: "working", message: null, at });
  const heard: Said[] = [];
  say(1);
  const leave = attention.listen((said) => heard.push(said));
  for (let at = 2; at <= 500; at++) say(at);
  const deadline = Date.now() + 30_000;
  while (heard.length < 2 && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.deepEqual(heard.map(({ at }) => at), [1, 500]);
  leave();
  say(501);
  assert.equal(heard.length, 2);
  assert.equal(attention.present?.at, 501);
});

Deno.test("an agent says how it is through its socket, and the daemon hears it by the watch", async () => {
  await withProxy({ grants: [], denials: [] }, async ({ proxy, get, admin, sockets }) => {
    using client = createProxyClient({ socket: sockets.agent });
    assert.equal(await client.attention(), null);
    const said = await client.setAttention("waiting", "which of the two?");
    assert.deepEqual(said, { state: "waiting", message: "which of the two?", at: said.at });
    assert.deepEqual(await client.attention(), said);
    // The watch began later: it hears what stands.
    const watch = await admin("/v1/watch");
    const events = readServerSentEvents(watch.body!, () => {});
    const next = async () => JSON.parse((await events.next()).value!.data);
    assert.deepEqual(await next(), { attention: said });
    const idle = await client.setAttention("idle");
    assert.deepEqual(await next(), { attention: idle });
    await assert.rejects(
      client.setAttention("failed" as "idle"),
      (thrown) => thrown instanceof ProxyClientError && thrown.status === 400,
    );
    const large = await get("/v1/attention", {
      method: "PUT",
      body: JSON.stringify({ state: "idle", message: "x".repeat(20_000) }),
    });
    assert.equal(large.status, 413);
    await large.body?.cancel();
    assert.deepEqual(proxy.state.attention.present, idle);
    await events.return(undefined);
  });
});
