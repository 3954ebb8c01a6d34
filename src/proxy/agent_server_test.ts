// SPDX-License-Identifier: Apache-2.0

/** Callers that leave while their bodies and their answers are both unfinished cost no descriptor for ever. */
import assert from "node:assert/strict";
import { withProxy } from "./testing/harness.ts";

const CALLERS = 100;
const DEADLINE_MS = 30_000;
const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Connections that servers keep in `dir`, seen by the kernel. Each listener is one too. */
async function socketsIn(dir: string): Promise<number> {
  const lines = (await Deno.readTextFile("/proc/net/unix")).split("\n");
  return lines.filter((line) => /\/(proxy|next)\.sock$/.test(line) && line.includes(` ${dir}/`))
    .length;
}

async function waitFor(what: string, look: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!await look()) {
    assert.ok(performance.now() < deadline, what);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Answers as soon as a request comes, then repeats what its body brings. */
function startEarly() {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serve = async (connection: Deno.Conn) => {
    const buffer = new Uint8Array(65_536);
    try {
      let begun = false;
      for (let count = await connection.read(buffer); count !== null;) {
        const more = `${count.toString(16)}\r\n${decode(buffer.subarray(0, count))}\r\n`;
        const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        await connection.write(encode(begun ? more : `${head}5\r\nearly\r\n`));
        begun = true;
        count = await connection.read(buffer);
      }
    } catch {
      // The proxy broke off: what these callers make it do.
    } finally {
      connection.close();
    }
  };
  const accepting = (async () => {
    for await (const connection of listener) void serve(connection);
  })().catch(() => {});
  return {
    port: listener.addr.port,
    close: async () => {
      listener.close();
      await accepting;
    },
  };
}

async function openUpload(path: string, framing: string): Promise<Deno.UnixConn> {
  const connection = await Deno.connect({ transport: "unix", path });
  await connection.write(encode(`POST /http/up/ HTTP/1.1\r\nHost: b\r\n${framing}`));
  await readUntil(connection, /early/);
  return connection;
}

async function readUntil(connection: Deno.Conn, wanted: RegExp): Promise<void> {
  const buffer = new Uint8Array(65_536);
  let text = "";
  while (!wanted.test(text)) {
    const count = await connection.read(buffer);
    assert.ok(count !== null, `it ended after ${text}`);
    text += decode(buffer.subarray(0, count));
  }
}

Deno.test("callers that leave in the middle of both bodies are let go, and those that stay are served on", async () => {
  const upstream = startEarly();
  const services = {
    up: {
      upstream: `http://127.0.0.1:${upstream.port}`,
      inject_headers: { "X-Api-Key": "s3cret-api-key" },
      strip_headers: [],
    },
  };
  let now = 1_000_000;
  const clock = { now: () => now, sleep: () => Promise.resolve() };
  await withProxy({ services }, async ({ dir, sockets, proxy, get }) => {
    const framings = [
      `Content-Length: 100000\r\n\r\n${"z".repeat(20_000)}`,
      `Transfer-Encoding: chunked\r\n\r\n4e20\r\n${"z".repeat(20_000)}\r\n`,
    ];
    using staying = await openUpload(sockets.agent, framings[1]!);
    const { mode } = await Deno.lstat(sockets.agent);
    for (let at = 0; at < CALLERS; at++) {
      (await openUpload(sockets.agent, framings[at % framings.length]!)).close();
    }
    // The client of `get` keeps connections of its own.
    const few = 45;
    await waitFor("each was given up", () => proxy.state.counters.abandoned >= CALLERS);
    await waitFor("the proxy kept connections", async () => {
      now += 11_000;
      return await socketsIn(dir) < few;
    });
    // Of before the socket was made anew, and still there.
    await staying.write(encode("6\r\nmore 1\r\n"));
    await readUntil(staying, /more 1/);
    assert.equal((await get("/health")).status, 200);
    assert.equal((await Deno.lstat(sockets.agent)).mode, mode);
    await assert.rejects(Deno.lstat(`${dir}/next.sock`), Deno.errors.NotFound);
  }, { clock, sweepMs: 20, idleTimeoutMs: Number.MAX_SAFE_INTEGER });
  await upstream.close();
});
