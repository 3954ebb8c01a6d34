// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { parseClientHello } from "./client_hello.ts";
import { parseRequestHead } from "./request_head.ts";

/** What a real client sends first, taken from openssl. */
async function realHello(serverName: string | null): Promise<Uint8Array> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const client = new Deno.Command("openssl", {
    args: [
      ...["s_client", "-connect", `127.0.0.1:${listener.addr.port}`],
      ...(serverName === null ? ["-noservername"] : ["-servername", serverName]),
    ],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const connection = await listener.accept();
  listener.close();
  const buffer = new Uint8Array(8192);
  const count = await connection.read(buffer);
  connection.close();
  await client.status;
  return buffer.subarray(0, count!);
}

Deno.test("parseClientHello() reads a real client's server name, however it is cut", async () => {
  const hello = await realHello("Api.Example.test");
  assert.deepEqual(parseClientHello(hello), { state: "ok", serverName: "api.example.test" });
  for (let length = 0; length < hello.length; length++) {
    assert.equal(parseClientHello(hello.subarray(0, length)).state, "more", `${length} bytes`);
  }
  const nameless = parseClientHello(await realHello(null));
  assert.deepEqual(nameless, { state: "ok", serverName: null });
  // The same message in records of 10 bytes each.
  const message = hello.subarray(5, 5 + (hello[3]! << 8 | hello[4]!));
  const records: number[] = [];
  for (let at = 0; at < message.length; at += 10) {
    const part = message.subarray(at, at + 10);
    records.push(22, 3, 1, 0, part.length, ...part);
  }
  assert.deepEqual(parseClientHello(Uint8Array.from(records)), {
    state: "ok",
    serverName: "api.example.test",
  });
});

Deno.test("parseClientHello() never throws, and takes no damaged hello for another name", async () => {
  const hello = await realHello("api.example.test");
  fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
    parseClientHello(bytes);
  }));
  fc.assert(
    fc.property(fc.nat(hello.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const damaged = hello.slice();
      damaged[at] = damaged[at]! ^ change;
      const read = parseClientHello(damaged);
      if (read.state === "ok" && read.serverName !== null) {
        assert.match(read.serverName, /^[a-z0-9._-]+$/);
      }
    }),
    { numRuns: 2000 },
  );
  for (const text of ["GET / HTTP/1.1\r\n\r\n", "SSH-2.0-x\r\n", "\x15\x03\x01\x00\x02\x02\x28"]) {
    assert.equal(parseClientHello(new TextEncoder().encode(text)).state, "bad", text);
  }
});

Deno.test("parseRequestHead() refuses what two parsers could read differently", () => {
  const ok = parseRequestHead("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\nX-A:  b ");
  assert.deepEqual(ok, {
    method: "CONNECT",
    target: "a.test:443",
    headers: [["host", "a.test:443"], ["x-a", "b"]],
    version: "1.1",
  });
  for (
    const text of [
      "",
      "GET / HTTP/2",
      "GET  / HTTP/1.1",
      "get / HTTP/1.1",
      "GET /\x00 HTTP/1.1",
      "GET / HTTP/1.1\r\nHost : a",
      "GET / HTTP/1.1\r\n folded",
      "GET / HTTP/1.1\r\nA: b\nC: d",
      "GET / HTTP/1.1\r\nHost: a\r\nHost: b",
      "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2",
      "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
      `GET / HTTP/1.1\r\n${"A: b\r\n".repeat(101)}`,
      `GET /${"a".repeat(17_000)} HTTP/1.1`,
    ]
  ) assert.throws(() => parseRequestHead(text), /Cannot read the request/, JSON.stringify(text));
});
