// SPDX-License-Identifier: Apache-2.0

/** The gate on real sockets. */
import assert from "node:assert/strict";
import { createLogger } from "../../lib/log.ts";
import { EgressGate, type GateOptions } from "./gate.ts";

interface Bench {
  readonly gate: EgressGate;
  readonly path: string;
  readonly port: number;
  readonly log: Record<string, unknown>[];
}

/** An upstream that reads to the end, then answers with what it read and closes. */
async function withGate(
  options: Partial<GateOptions>,
  use: (bench: Bench) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  const echo = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const echoing = (async () => {
    while (true) {
      let connection: Deno.Conn;
      try {
        connection = await echo.accept();
      } catch {
        return;
      }
      answer(connection).catch(() => {});
    }
  })();
  const lines: Record<string, unknown>[] = [];
  const log = createLogger("test", {}, (line) => lines.push(JSON.parse(line)));
  const gate = new EgressGate({ principal: "p", log, ...options });
  const path = `${dir}/egress.sock`;
  await gate.listen(path);
  try {
    await use({ gate, path, port: (echo.addr as Deno.NetAddr).port, log: lines });
  } finally {
    gate.close();
    echo.close();
    await echoing;
    await Deno.remove(dir, { recursive: true });
  }
}

async function answer(connection: Deno.Conn): Promise<void> {
  const got = await readAll(connection);
  const bytes = new TextEncoder().encode(`got ${got}`);
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
  connection.close();
}

async function readAll(connection: Deno.Conn): Promise<string> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(4096);
  let text = "";
  for (let n = await connection.read(buffer); n !== null; n = await connection.read(buffer)) {
    text += decoder.decode(buffer.subarray(0, n));
  }
  return text;
}

/** Sends everything, half-closes, reads to the end. */
async function talk(path: string, text: string): Promise<string> {
  const connection = await Deno.connect({ transport: "unix", path });
  try {
    await connection.write(new TextEncoder().encode(text));
    await connection.closeWrite();
    return await readAll(connection);
  } finally {
    connection.close();
  }
}

const connect = (target: string) => `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`;
const OK = "HTTP/1.1 200 Connection established\r\n\r\n";

Deno.test("EgressGate copies both ways with half-close when the address is named", async () => {
  await withGate({}, async ({ gate, path, port, log }) => {
    gate.setPolicy([`127.0.0.1:${port}`]);
    assert.equal(await talk(path, connect(`127.0.0.1:${port}`) + "hello"), `${OK}got hello`);
    assert.deepEqual({ ...gate.counters }, { allowed: 1, refused: 0, bytes: 14 });
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o660);
    const line = log.find((entry) => entry["verdict"] === "allowed")!;
    assert.deepEqual([line["target"], line["up"], line["down"]], [`127.0.0.1:${port}`, 5, 9]);
  });
});

Deno.test("EgressGate reaches localhost when localhost is named", async () => {
  await withGate({}, async ({ gate, path, port }) => {
    gate.setPolicy([`localhost:${port}`]);
    assert.equal(await talk(path, connect(`localhost:${port}`) + "x"), `${OK}got x`);
  });
});

Deno.test("EgressGate answers 403 with the rule when the policy names nothing of it", async () => {
  await withGate({}, async ({ gate, path, port }) => {
    assert.match(await talk(path, connect(`127.0.0.1:${port}`)), /503 .*egress-not-ready/s);
    gate.setPolicy([]);
    const text = await talk(path, connect(`127.0.0.1:${port}`));
    assert.match(text, /^HTTP\/1\.1 403 Forbidden\r\n/);
    const body = JSON.parse(text.slice(text.indexOf("\r\n\r\n") + 4));
    assert.equal(body.error.code, "egress-refused");
    assert.match(body.error.hint, /egress\.allow/);
    assert.equal(gate.counters.refused, 2);
  });
});

Deno.test("EgressGate refuses a named host that resolves to loopback, and not when the address is named too", async () => {
  let asked = 0;
  const resolve = () => Promise.resolve((asked++, ["127.0.0.1"]));
  await withGate({ resolve }, async ({ gate, path, port }) => {
    gate.setPolicy([`rebound.test:${port}`]);
    const refused = await talk(path, connect(`rebound.test:${port}`) + "x");
    assert.match(
      refused,
      /^HTTP\/1\.1 403 [^]*"egress-refused-address"[^]*127\.0\.0\.1 is loopback/,
    );
    // Positive control: nothing but the check of the address stood in the way.
    gate.setPolicy([`rebound.test:${port}`, `127.0.0.1:${port}`]);
    assert.equal(await talk(path, connect(`rebound.test:${port}`) + "x"), `${OK}got x`);
    assert.equal(asked, 2, "each connection resolves once");
  });
});

Deno.test("EgressGate connects to the address it checked when the name changes its mind", async () => {
  let asked = 0;
  // First a refused address, from then on an allowed one: a second look-up would let it through.
  const resolve = () => Promise.resolve(asked++ === 0 ? ["10.255.255.1"] : ["127.0.0.1"]);
  await withGate({ resolve }, async ({ gate, path, port }) => {
    gate.setPolicy([`flip.test:${port}`, `127.0.0.1:${port}`]);
    assert.match(await talk(path, connect(`flip.test:${port}`)), /^HTTP\/1\.1 403 /);
    assert.equal(asked, 1);
  });
});

Deno.test("EgressGate answers 502 when a name doesn't resolve or nobody listens", async () => {
  const resolve = (host: string) =>
    host === "gone.test" ? Promise.reject(new Error("NXDOMAIN")) : Promise.resolve(["127.0.0.1"]);
  await withGate({ resolve }, async ({ gate, path }) => {
    gate.setPolicy(["gone.test:80", "127.0.0.1:1"]);
    assert.match(
      await talk(path, connect("gone.test:80")),
      /^HTTP\/1\.1 502 [^]*egress-unresolved/,
    );
    assert.match(
      await talk(path, connect("127.0.0.1:1")),
      /^HTTP\/1\.1 502 [^]*egress-unreachable/,
    );
  });
});

Deno.test("EgressGate answers 400 when the request is no CONNECT", async () => {
  await withGate({}, async ({ path }) => {
    assert.match(await talk(path, "GET / HTTP/1.1\r\n\r\n"), /^HTTP\/1\.1 400 /);
  });
});

Deno.test("EgressGate lets a caller go that doesn't finish its request", async () => {
  await withGate({ headDeadlineMs: 50 }, async ({ path }) => {
    const connection = await Deno.connect({ transport: "unix", path });
    await connection.write(new TextEncoder().encode("CONNECT a"));
    assert.equal(await readAll(connection).catch(() => ""), "");
    connection.close();
  });
});

Deno.test("EgressGate cuts a tunnel when the policy no longer names it", async () => {
  await withGate({}, async ({ gate, path, port }) => {
    gate.setPolicy([`127.0.0.1:${port}`]);
    const connection = await Deno.connect({ transport: "unix", path });
    await connection.write(new TextEncoder().encode(connect(`127.0.0.1:${port}`)));
    const buffer = new Uint8Array(OK.length);
    assert.equal(await connection.read(buffer), OK.length);
    gate.setPolicy([]);
    assert.equal(await readAll(connection).catch(() => ""), "");
    connection.close();
  });
});

Deno.test("EgressGate listens anew in place of a stale socket", async () => {
  await withGate({}, async ({ gate, path, port }) => {
    await gate.listen(path);
    gate.setPolicy([`127.0.0.1:${port}`]);
    assert.equal(await talk(path, connect(`127.0.0.1:${port}`) + "y"), `${OK}got y`);
  });
});

Deno.test("EgressGate passes megabytes unharmed through small buffers", async () => {
  await withGate({}, async ({ gate, path, port }) => {
    gate.setPolicy([`127.0.0.1:${port}`]);
    const body = "0123456789abcdef".repeat(256 * 1024);
    const connection = await Deno.connect({ transport: "unix", path });
    const bytes = new TextEncoder().encode(connect(`127.0.0.1:${port}`) + body);
    for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
    await connection.closeWrite();
    const text = await readAll(connection);
    connection.close();
    assert.ok(text === `${OK}got ${body}`);
    assert.ok(gate.counters.bytes > 2 * body.length);
  });
});
