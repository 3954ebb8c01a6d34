// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import * as z from "zod/mini";
import { type BootstrapOptions, readBootstrap } from "./mod.ts";

const Shape = z.object({ version: z.literal(1), token: z.string() });

function streamOf(text: string | Uint8Array, close = true): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      if (text.length > 0) {
        controller.enqueue(typeof text === "string" ? new TextEncoder().encode(text) : text);
      }
      if (close) controller.close();
    },
  });
}

const read = (stdin: ReadableStream<Uint8Array>, options: BootstrapOptions = {}) =>
  readBootstrap((json) => z.parse(Shape, json), { ...options, stdin });

Deno.test("readBootstrap() returns the parsed document when it is whole", async () => {
  assert.deepEqual(await read(streamOf('{"version":1,"token":"s"}')), { version: 1, token: "s" });
});

for (
  const [code, stdin, options] of [
    ["bootstrap-empty", streamOf(""), {}],
    ["bootstrap-oversized", streamOf("x".repeat(100)), { maxBytes: 99 }],
    ["bootstrap-late", streamOf('{"version":1', false), { deadlineMs: 5 }],
    ["bootstrap-truncated", streamOf('{"version":1,"token":"s'), {}],
    ["bootstrap-malformed", streamOf("{nope}"), {}],
    ["bootstrap-malformed", streamOf("[1]"), {}],
    ["bootstrap-malformed", streamOf(new Uint8Array([0xff, 0xfe])), {}],
    ["bootstrap-malformed", streamOf('{"version":1}'), {}],
    ["bootstrap-newer", streamOf('{"version":2}'), {}],
  ] as const
) {
  Deno.test(`readBootstrap() throws ${code} when so`, async () => {
    await assert.rejects(read(stdin, options), { code });
  });
}

Deno.test("readBootstrap() never quotes the document in an error", async () => {
  await assert.rejects(read(streamOf('{"version":1,"token":17,"x":"hunter2"}')), (error: Error) => {
    assert.match(error.message, /token/);
    assert.doesNotMatch(error.message, /hunter2|17/);
    return true;
  });
});
