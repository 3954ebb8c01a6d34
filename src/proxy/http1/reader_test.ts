// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Wire } from "../wire.ts";
import { bytesOf } from "../testing/raw.ts";
import { latin1 } from "./head.ts";
import { ResponseReader } from "./reader.ts";

/** A connection that hands out `pieces` and then ends. */
function wireOf(pieces: readonly Uint8Array[]): Wire {
  const left = pieces.filter((piece) => piece.length > 0);
  return {
    read: () => Promise.resolve(left.shift() ?? null),
    write: () => Promise.resolve(),
    watch: () => () => {},
    closeWrite: () => Promise.resolve(),
    close: () => {},
  };
}

/** Cuts `text` at the given places, in any order. */
function cut(text: string, places: readonly number[]): Uint8Array[] {
  const bytes = bytesOf(text);
  const at = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((start, index) => bytes.slice(start, at[index] ?? bytes.length));
}

async function readAll(reader: ResponseReader): Promise<string> {
  let text = "";
  for (let piece = await reader.readBody(); piece !== null; piece = await reader.readBody()) {
    assert.ok(piece.length > 0);
    text += latin1(piece);
  }
  return text;
}

const byteText = fc.uint8Array({ maxLength: 300 }).map(latin1);
const places = fc.array(fc.nat(5000), { maxLength: 30 });

/** One response in each framing, as text, with the body that must come out. */
const response = fc.oneof(
  byteText.map((body) => ({ text: `Content-Length: ${body.length}\r\n\r\n${body}`, body })),
  fc.tuple(fc.array(byteText.filter((chunk) => chunk.length > 0), { maxLength: 6 }), fc.boolean())
    .map(([chunks, trailers]) => ({
      text: "Transfer-Encoding: Chunked\r\n\r\n" +
        chunks.map((chunk) => `${chunk.length.toString(16)};x=y\r\n${chunk}\r\n`).join("") +
        `000\r\n${trailers ? "X-Trailer: 1\r\nY: 2\r\n" : ""}\r\n`,
      body: chunks.join(""),
    })),
);

Deno.test("ResponseReader reads any sequence of responses however their bytes are cut", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(response, { minLength: 1, maxLength: 4 }),
      places,
      async (list, at) => {
        const interim = "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n";
        const text = list.map(({ text }, index) =>
          `${index % 2 === 0 ? "" : interim}HTTP/1.1 200 OK\r\nX-Index: ${index}\r\n${text}`
        ).join("");
        const reader = new ResponseReader(wireOf(cut(text, at)));
        for (const [index, { body }] of list.entries()) {
          const head = await reader.readHead("GET");
          assert.deepEqual(head.headers[0], ["x-index", String(index)]);
          const whole = index % 3 === 0 ? reader.takeBuffered(200) : null;
          assert.equal(whole === null ? await readAll(reader) : latin1(whole), body);
        }
        assert.ok(reader.isClean);
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("ResponseReader fails, and never invents bytes, when a response is cut short", async () => {
  await fc.assert(
    fc.asyncProperty(response, fc.nat(5000), async ({ text, body }, at) => {
      const whole = `HTTP/1.1 200 OK\r\n${text}`;
      const short = whole.slice(0, at % whole.length);
      let read = "";
      await assert.rejects(async () => {
        const reader = new ResponseReader(wireOf([bytesOf(short)]));
        await reader.readHead("GET");
        for (let piece = await reader.readBody(); piece !== null;) {
          read += latin1(piece);
          piece = await reader.readBody();
        }
      });
      assert.ok(body.startsWith(read));
    }),
    { numRuns: 300 },
  );
});

Deno.test("ResponseReader survives any bytes", async () => {
  const noise = fc.oneof(
    byteText,
    fc.array(
      fc.constantFrom(
        ...["HTTP/1.1 200 OK", "\r\n", "\n", "Content-Length: 3", "Transfer-Encoding: chunked"],
        ...["5", "\r\n\r\n", ":", " ", "abc", "HTTP/1.1 100 ", "0\r\n\r\n", "Content-Length: 4"],
      ),
      { maxLength: 30 },
    ).map((words) => words.join("")),
  );
  await fc.assert(
    fc.asyncProperty(noise, places, async (text, at) => {
      try {
        const reader = new ResponseReader(wireOf(cut(text, at)));
        await reader.readHead("GET");
        await readAll(reader);
      } catch (thrown) {
        assert.equal((thrown as { code?: string }).code, "bad-upstream-response", String(thrown));
      }
    }),
    { numRuns: 1000 },
  );
});

Deno.test("ResponseReader refuses what two parsers could frame differently", async () => {
  const refused = async (text: string) => {
    const reader = new ResponseReader(wireOf([bytesOf(text)]));
    await assert.rejects(
      async () => {
        await reader.readHead("GET");
        await readAll(reader);
      },
      { code: "bad-upstream-response" },
      JSON.stringify(text),
    );
  };
  const ok = "HTTP/1.1 200 OK\r\n";
  await refused(`${ok}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`);
  await refused(`${ok}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`);
  await refused(`${ok}Content-Length: +3\r\n\r\nabc`);
  await refused(`${ok}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`);
  await refused(`${ok}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`);
  await refused(`${ok}Content-Length : 3\r\n\r\nabc`);
  await refused(`${ok}X: 1\r\n folded\r\n\r\n`);
  await refused(`${ok}X: a\nContent-Length: 3\r\n\r\nabc`);
  await refused(`${ok}Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n`);
  await refused(`${ok}Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n`);
  await refused(`${ok}Transfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n`);
  await refused("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n");
  await refused("HTTP/2 200\r\n\r\n");
  await refused(`${ok}X: ${"a".repeat(70_000)}\r\n\r\n`);
  await refused(ok + "X: 1\r\n".repeat(200) + "\r\n");
  await refused("HTTP/1.1 100 Continue\r\n\r\n".repeat(50));
});

Deno.test("ResponseReader knows which responses have no body, and which end with the connection", async () => {
  const read = async (text: string, method = "GET") => {
    const reader = new ResponseReader(wireOf([bytesOf(text)]));
    const head = await reader.readHead(method);
    return { body: await readAll(reader), clean: reader.isClean, keepAlive: head.keepAlive };
  };
  const none = { body: "", clean: true, keepAlive: true };
  assert.deepEqual(await read("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"), none);
  assert.deepEqual(await read("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"), none);
  assert.deepEqual(await read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD"), none);
  assert.deepEqual(await read("HTTP/1.0 200 OK\r\n\r\nall of it"), {
    body: "all of it",
    clean: false,
    keepAlive: false,
  });
  const closing = await read(
    "HTTP/1.1 200 OK\r\nConnection: foo, Close\r\nContent-Length: 0\r\n\r\n",
  );
  assert.equal(closing.keepAlive, false);
  // Bytes after the end belong to no request: the connection must not be used again.
  assert.equal((await read("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabc")).clean, false);
});
