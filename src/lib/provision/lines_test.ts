// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readBootstrapLines } from "./lines.ts";
import { ProvisionError } from "./mod.ts";

const parse = (json: unknown) => json as { n: number };
const encoder = new TextEncoder();

/** Reads these pieces; the later documents as they were told. */
async function read(pieces: readonly string[], options = {}) {
  const later: unknown[] = [];
  const ended = Promise.withResolvers<void>();
  const stdin = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces) controller.enqueue(encoder.encode(piece));
      controller.close();
      ended.resolve();
    },
  });
  const first = await readBootstrapLines(parse, async (document) => {
    await Promise.resolve();
    later.push(document instanceof ProvisionError ? document.code : document);
  }, { stdin, ...options });
  await ended.promise;
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
  return { first, later };
}

Deno.test("readBootstrapLines() reads a line, and later ones, however they are cut", async () => {
  assert.deepEqual(await read(['{"n":1}']), { first: { n: 1 }, later: [] });
  assert.deepEqual(await read(['{"n"', ':1}\n{"n":2}\n{"n"', ":3}", "\n"]), {
    first: { n: 1 },
    later: [{ n: 2 }, { n: 3 }],
  });
  assert.deepEqual(await read(['{"n":1}\nnonsense\n{"version":9}\n{"n":2}\n']), {
    first: { n: 1 },
    later: ["bootstrap-malformed", "bootstrap-newer", { n: 2 }],
  });
});

Deno.test("readBootstrapLines() refuses an empty, cut, late or oversized first line", async () => {
  await assert.rejects(read([]), { code: "bootstrap-empty" });
  await assert.rejects(read(['{"n":']), { code: "bootstrap-truncated" });
  await assert.rejects(read(["x".repeat(100)], { maxBytes: 10 }), { code: "bootstrap-oversized" });
  const stdin = new ReadableStream<Uint8Array>();
  const never = readBootstrapLines(parse, () => Promise.resolve(), { stdin, deadlineMs: 5 });
  await assert.rejects(never, { code: "bootstrap-late" });
});
