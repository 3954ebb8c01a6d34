// SPDX-License-Identifier: Apache-2.0

/** Fields after a chunked body, both ways, by programs that go through the proxy. */
import assert from "node:assert/strict";
import type { ProxyBootstrap } from "../api.ts";
import { withProxy } from "../testing/harness.ts";
import { bytesOf, type RawConnection, rawServer } from "../testing/raw.ts";

const PLACEHOLDER = `bureau-placeholder-key-${"a".repeat(32)}`;
const SECRET = "s3cret-of-trailers";

type Exchange = (
  request: string,
  answer: string,
) => Promise<{ readonly sent: string; readonly received: string }>;

/** What an upstream gets of a request, and a program of the upstream's answer. */
async function withExchange(body: (exchange: Exchange) => Promise<void>): Promise<void> {
  const upstream = rawServer();
  const host = `127.0.0.1:${upstream.port}`;
  const bootstrap: Partial<ProxyBootstrap> = {
    placeholders: [{ placeholder: PLACEHOLDER, value: SECRET, hosts: [host] }],
  };
  await withProxy(bootstrap, async ({ sockets }) => {
    await body(async (request, answer) => {
      using caller = await Deno.connect({ transport: "unix", path: sockets.forward });
      const lines = `POST http://${host}/x HTTP/1.1\r\nHost: ${host}\r\n`;
      await caller.write(bytesOf(lines + request));
      const refused = Promise.withResolvers<null>();
      const received = readAll(caller).finally(() => refused.resolve(null));
      const accepted: Promise<RawConnection | null> = upstream.accept().catch(() => null);
      const connection = await Promise.race([accepted, refused.promise]);
      let sent = "";
      if (connection !== null) {
        sent =
          await Promise.race([connection.until(/\r\n0\r\n(.*\r\n)?\r\n$/s), refused.promise]) ??
            connection.received;
        await connection.send(answer).catch(() => {});
        connection.close();
      }
      return { sent, received: await received };
    });
  });
  upstream.stop();
}

async function readAll(connection: Deno.Conn): Promise<string> {
  let text = "";
  const buffer = new Uint8Array(65_536);
  while (true) {
    const count = await connection.read(buffer).catch(() => null);
    if (count === null) return text;
    text += new TextDecoder().decode(buffer.subarray(0, count));
  }
}

const CHUNKED = "Transfer-Encoding: chunked\r\n";
const OK = `HTTP/1.1 200 OK\r\n${CHUNKED}`;

Deno.test("trailers pass both ways, swapped and scrubbed, without what must stand before a body", async () => {
  await withExchange(async (exchange) => {
    const { sent, received } = await exchange(
      `${CHUNKED}TE: trailers\r\nConnection: TE\r\nTrailer: X-Sum, Host\r\n\r\n` +
        `3\r\nabc\r\n0\r\nX-Sum: 1 ${PLACEHOLDER}\r\nHost: other\r\nAuthorization: x\r\n\r\n`,
      `${OK}Trailer: Grpc-Status\r\n\r\n3\r\nxyz\r\n0\r\n` +
        `Grpc-Status: 0\r\nX-Echo: ${SECRET}\r\nSet-Cookie: a=b\r\nContent-Length: 9\r\n\r\n`,
    );
    assert.match(sent, /\r\nte: trailers\r\n/);
    assert.match(sent, /\r\ntrailer: X-Sum\r\n/);
    assert.ok(sent.endsWith(`3\r\nabc\r\n0\r\nx-sum: 1 ${SECRET}\r\n\r\n`), sent);
    assert.match(received, /^HTTP\/1\.1 200 .*\r\ntrailer: Grpc-Status\r\n/s);
    const stars = "*".repeat(SECRET.length);
    assert.ok(
      received.endsWith(`\r\n0\r\ngrpc-status: 0\r\nx-echo: ${stars}\r\n\r\n`),
      received,
    );
  });
});

Deno.test("a message without trailers gets none, and a malformed one breaks it off", async () => {
  await withExchange(async (exchange) => {
    const plain = await exchange(`${CHUNKED}\r\n0\r\n\r\n`, `${OK}\r\n1\r\nx\r\n0\r\n\r\n`);
    assert.doesNotMatch(plain.sent, /\r\n(te|trailer):/i);
    assert.ok(plain.sent.endsWith("\r\n\r\n0\r\n\r\n"), plain.sent);
    assert.ok(plain.received.endsWith("\r\n\r\n1\r\nx\r\n0\r\n\r\n"), plain.received);

    const bad = await exchange(`${CHUNKED}\r\n0\r\nX y: 1\r\n\r\n`, "");
    assert.match(bad.received, /^HTTP\/1\.1 400 .*malformed trailer/s);
    const answered = await exchange(
      `${CHUNKED}\r\n0\r\n\r\n`,
      `${OK}\r\n1\r\nx\r\n0\r\nX y: 1\r\n\r\n`,
    );
    assert.ok(!answered.received.endsWith("0\r\n\r\n"), answered.received);
  });
});
