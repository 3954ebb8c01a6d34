// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import { loadSdk } from "./load.ts";
import { StreamTransport } from "./stdio.ts";

const message = (id: number, text: string) => ({
  jsonrpc: "2.0" as const,
  id,
  method: "m",
  params: { text },
});

Deno.test("messages come whole however the bytes are cut, and what is no message hurts no other", async () => {
  const sdk = await loadSdk();
  const texts = fc.array(fc.tuple(fc.string({ unit: "grapheme" }), fc.boolean()), { maxLength: 6 });
  await fc.assert(fc.asyncProperty(texts, fc.integer({ min: 1, max: 17 }), async (lines, cut) => {
    const expected = lines.map(([text], at) => message(at, text));
    const text = lines.map(([, withNoise], at) =>
      JSON.stringify(expected[at]) + "\n" + (withNoise ? '{"jsonrpc":"1.0"}\nnoise\n\n' : "")
    ).join("");
    const bytes = new TextEncoder().encode(text);
    const readable = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let at = 0; at < bytes.length; at += cut) {
          controller.enqueue(bytes.slice(at, at + cut));
        }
        controller.close();
      },
    });
    const transport = new StreamTransport(sdk, readable, new WritableStream());
    const got: unknown[] = [];
    let errors = 0;
    let closed = 0;
    transport.onmessage = (one) => got.push(one);
    transport.onerror = () => errors++;
    transport.onclose = () => closed++;
    await transport.start();
    await transport.ended;
    assert.deepEqual(got, expected);
    assert.equal(errors, 2 * lines.filter(([, withNoise]) => withNoise).length);
    assert.equal(closed, 1);
  }));
});

Deno.test("what is sent is a line; a line without an end does not fill the memory", async () => {
  const sdk = await loadSdk();
  const written: string[] = [];
  const decoder = new TextDecoder();
  const writable = new WritableStream<Uint8Array>({
    write: (chunk) => void written.push(decoder.decode(chunk)),
  });
  let sent = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      sent += 65536;
      controller.enqueue(new Uint8Array(65536).fill(97));
    },
  });
  const transport = new StreamTransport(sdk, endless, writable);
  const errors: Error[] = [];
  transport.onerror = (error) => errors.push(error);
  await transport.start();
  await transport.send(message(1, "a\nb"));
  await transport.ended;
  assert.match(errors[0]!.message, /exceeds/);
  assert.ok(sent < 10 * 1024 * 1024, `${sent}`);
  assert.equal(written.join(""), JSON.stringify(message(1, "a\nb")) + "\n");
});
