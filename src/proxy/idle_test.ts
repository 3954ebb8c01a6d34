// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { makeCertificates, withProxy } from "./testing/harness.ts";

Deno.test("forward() opens a new connection when the upstream ends a kept TLS connection", async () => {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  const { ca, cert, key } = await makeCertificates(dir, "DNS:localhost");
  const listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
  const connections: Deno.Conn[] = [];
  const serving = (async () => {
    for await (const connection of listener) {
      connections.push(connection);
      void answer(connection);
    }
  })().catch(() => {});
  const services = {
    up: {
      upstream: `https://localhost:${listener.addr.port}`,
      inject_headers: { "x-api-key": "key" },
      strip_headers: [],
      ca,
    },
  };
  await withProxy({ services }, async ({ get }) => {
    const ask = async () => assert.equal(await (await get("/http/up/x")).text(), "ok");
    await ask();
    await ask();
    // Control: the connection was kept.
    assert.equal(connections.length, 1);
    for (let round = 2; round < 5; round++) {
      // Once without a word, as a restarted daemon does, which once ended the whole proxy.
      connections.at(-1)!.close();
      // A request that was on its way when it closed may fail; the connection is not used again.
      while (connections.length < round) await (await get("/http/up/x")).body?.cancel();
      await ask();
      assert.equal(connections.length, round);
    }
  });
  listener.close();
  await serving;
  for (const connection of connections) close(connection);
  await Deno.remove(dir, { recursive: true });
});

/** One answer for each head that comes. */
async function answer(connection: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(65_536);
  try {
    while (await connection.read(buffer) !== null) {
      await connection.write(
        new TextEncoder().encode("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
      );
    }
  } catch {
    // Closed by the test.
  }
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // It was the test that closed it.
  }
}
