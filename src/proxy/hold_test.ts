// SPDX-License-Identifier: Apache-2.0

/** A proxy at a gate that asks a person, and what it tells the daemon of its own refusals. */
import assert from "node:assert/strict";
import { openWire } from "./egress.ts";
import { TunnelRefusals } from "./refusals.ts";

const to = { host: "x.test", port: 443, tls: false, isAddress: false, ca: undefined };

/** A gate that says this, in these pieces. */
async function withGate(
  pieces: readonly string[],
  use: (path: string) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  const path = `${dir}/egress.sock`;
  const listener = Deno.listen({ transport: "unix", path });
  const serving = (async () => {
    for await (const connection of listener) {
      await connection.read(new Uint8Array(4096));
      for (const piece of pieces) await connection.write(new TextEncoder().encode(piece));
      connection.close();
    }
  })().catch(() => {});
  try {
    await use(path);
  } finally {
    listener.close();
    await serving;
    await Deno.remove(dir, { recursive: true });
  }
}

const HOLD = "HTTP/1.1 102 Processing\r\nBureau-Hold: 120\r\n\r\n";
const OK = "HTTP/1.1 200 Connection established\r\n\r\n";
const never = new AbortController().signal;

Deno.test("openWire() goes on after a hold, in whatever pieces it comes", async () => {
  for (const pieces of [[HOLD, OK], [HOLD + OK], [HOLD + HOLD, OK], [...`${HOLD}${OK}`]]) {
    await withGate(pieces, async (path) => (await openWire(path, to, never)).close());
  }
});

Deno.test("openWire() waits as long as the gate says that a person may take, and a bound longer", async () => {
  const delays: number[] = [];
  const real = globalThis.setTimeout;
  globalThis.setTimeout = ((act: () => void, ms?: number) => {
    delays.push(ms ?? 0);
    return real(act, ms);
  }) as typeof setTimeout;
  try {
    await withGate([HOLD, OK], async (path) => (await openWire(path, to, never)).close());
    const long = HOLD.replace("120", "999999");
    await withGate([long, OK], async (path) => (await openWire(path, to, never)).close());
  } finally {
    globalThis.setTimeout = real;
  }
  assert.deepEqual(delays.filter((ms) => ms >= 20_000), [20_000, 140_000, 20_000, 620_000]);
});

Deno.test("openWire() hands on the refusal that follows a hold, and takes no nonsense for one", async () => {
  const body = '{"error":{"code":"ask-denied","message":"no","hint":"h"}}';
  const refusal = `HTTP/1.1 403 Forbidden\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  await withGate([HOLD, refusal], async (path) => {
    await assert.rejects(openWire(path, to, never), { code: "ask-denied", status: 403 });
  });
  await withGate(["HTTP/1.1 102 Processing\r\n\r\n", OK], async (path) => {
    await assert.rejects(openWire(path, to, never), { code: "egress-protocol" });
  });
  await withGate([HOLD], async (path) => {
    await assert.rejects(openWire(path, to, never), { code: "egress-unavailable" });
  });
});

Deno.test("TunnelRefusals counts tunnels only, and keeps little", () => {
  const refusals = new TunnelRefusals();
  refusals.note("http/service");
  refusals.note("matrix/read");
  refusals.note("forward/a.test/443");
  refusals.note("forward/a.test/443");
  refusals.note("tunnel/::1/5432");
  for (let n = 0; n < 1_000; n++) refusals.note(`forward/n${n}.test/443`);
  let told: readonly unknown[] = [];
  const end = refusals.listen((refused) => told = refused);
  assert.deepEqual(told.slice(0, 2), [
    { host: "a.test", port: 443, count: 2 },
    { host: "::1", port: 5432, count: 1 },
  ]);
  assert.equal(told.length, 32);
  end();
});
