// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Incoming } from "./incoming.ts";

Deno.test("frames and the end that come with the handshake itself are not lost", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    using connection = await listener.accept();
    let head = "";
    const buffer = new Uint8Array(4096);
    while (!head.includes("\r\n\r\n")) {
      head += new TextDecoder().decode(buffer.subarray(0, (await connection.read(buffer))!));
    }
    const key = /sec-websocket-key: (\S+)/i.exec(head)![1]!;
    const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest("base64");
    const frame = (opcode: number, text: string) =>
      String.fromCharCode(0x80 | opcode, text.length) + text;
    // One write: answer, two messages, the end (1000).
    await connection.write(
      Uint8Array.from(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
          `Sec-WebSocket-Accept: ${accept}\r\n\r\n` +
          frame(1, "first") + frame(1, "second") + frame(8, "\x03\xe8"),
        (char) => char.charCodeAt(0),
      ),
    );
    // The peer's own end of it.
    while ((await connection.read(buffer).catch(() => null)) !== null);
  })();
  const incoming = new Incoming(new WebSocket(`ws://127.0.0.1:${listener.addr.port}/`));
  await incoming.ended;
  const seen: unknown[] = [];
  incoming.receive(({ data }) => seen.push(data));
  assert.deepEqual(seen, ["first", "second"]);
  await serving;
  listener.close();
});
