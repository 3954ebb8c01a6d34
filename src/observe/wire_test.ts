// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import { type BinaryFrame, decodeFrame, encodeFrame } from "./wire.ts";

const bytes = fc.uint8Array({ maxLength: 200 }) as fc.Arbitrary<Uint8Array<ArrayBuffer>>;
const offset = fc.maxSafeNat();
const side = fc.integer({ min: 1, max: 65_535 });
const at = fc.double({ noNaN: true, noDefaultInfinity: true });
const frames: fc.Arbitrary<BinaryFrame> = fc.oneof(
  fc.tuple(offset, bytes).map(([offset, bytes]) => ({ kind: "output" as const, offset, bytes })),
  fc.tuple(offset, side, side, bytes)
    .map(([offset, cols, rows, bytes]) => ({
      kind: "snapshot" as const,
      offset,
      cols,
      rows,
      bytes,
    })),
  bytes.map((bytes) => ({ kind: "input" as const, bytes })),
  fc.tuple(offset, at, bytes)
    .map(([offset, at, bytes]) => ({ kind: "history" as const, offset, at, bytes })),
);

Deno.test("decodeFrame() reads what encodeFrame() wrote", () => {
  fc.assert(fc.property(frames, (frame) => {
    const encoded = encodeFrame(frame);
    assert.deepEqual(decodeFrame(encoded), frame);
    assert.deepEqual(decodeFrame(encoded.buffer), frame);
    // Where it lies in a larger buffer does not matter.
    const inside = new Uint8Array(encoded.length + 7);
    inside.set(encoded, 3);
    assert.deepEqual(decodeFrame(inside.subarray(3, 3 + encoded.length)), frame);
  }));
});

Deno.test("decodeFrame() takes any bytes, and believes only what it would have written", () => {
  let read = 0;
  const kinds = fc.oneof(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 255 }));
  fc.assert(
    fc.property(kinds, fc.uint8Array({ maxLength: 40 }), (kind, rest) => {
      const all = Uint8Array.from([kind, ...rest]);
      const frame = decodeFrame(all);
      if (frame === null) return;
      read++;
      assert.deepEqual(encodeFrame(frame), all);
      assert.ok(frame.kind === "input" || Number.isSafeInteger(frame.offset));
    }),
    { numRuns: 5000 },
  );
  assert.ok(read > 100, "the generator makes good ones too");
  assert.equal(decodeFrame(new Uint8Array()), null);
});

Deno.test("decodeFrame() refuses frames that are cut off in their heads", () => {
  fc.assert(fc.property(frames, fc.nat(), (frame, at) => {
    const encoded = encodeFrame({ ...frame, bytes: new Uint8Array() } as BinaryFrame);
    if (encoded.length === 1) return;
    assert.equal(decodeFrame(encoded.slice(0, at % encoded.length)), null);
  }));
});
