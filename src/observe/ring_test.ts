// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import { Model } from "./model.ts";
import { Ring } from "./ring.ts";

const SIZE = { cols: 20, rows: 5 };

type Step = { type: "bytes"; bytes: Uint8Array } | { type: "wait"; ms: number } | {
  type: "size";
  cols: number;
};

const steps = fc.array(
  fc.oneof<fc.Arbitrary<Step>[]>(
    fc.record({
      type: fc.constant("bytes" as const),
      bytes: fc.string({ minLength: 1, maxLength: 60 }).map((text) =>
        new TextEncoder().encode(text.replaceAll("\x1b", "") + "\r\n")
      ),
    }),
    fc.record({ type: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 400_000 }) }),
    fc.record({ type: fc.constant("size" as const), cols: fc.integer({ min: 5, max: 30 }) }),
  ),
  { maxLength: 80 },
);

Deno.test("Ring gives each byte once, at the size and near the time it had, as far back as it says", () => {
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 50 }), (steps, limit) => {
      let now = 1_000;
      const model = new Model(SIZE);
      const ring = new Ring({
        snapshot: () => model.snapshot(),
        size: SIZE,
        at: now,
        bytes: 12_000,
        ms: 900_000,
      });
      const all: { byte: number; at: number; cols: number }[] = [];
      for (const step of steps) {
        if (step.type === "wait") now += step.ms;
        else if (step.type === "size") {
          model.resize({ ...SIZE, cols: step.cols });
          ring.resize({ ...SIZE, cols: step.cols }, now);
        } else {
          ring.append(step.bytes, now);
          model.write(step.bytes);
          for (const byte of step.bytes) all.push({ byte, at: now, cols: model.size.cols });
        }
      }
      assert.equal(ring.end, all.length);
      assert.ok(ring.start <= ring.end && ring.has(ring.start) && ring.has(ring.end));
      assert.ok(!ring.has(ring.end + 1) && (ring.start === 0 || !ring.has(ring.start - 1)));
      let offset = ring.start;
      while (offset < ring.end) {
        const { at, size, bytes } = ring.next(offset, limit, true);
        assert.ok(bytes.length > 0 && bytes.length <= limit);
        for (const byte of bytes) {
          const was = all[offset++]!;
          assert.deepEqual([byte, size.cols], [was.byte, was.cols]);
          assert.ok(Math.abs(at - was.at) < 50);
        }
      }
      assert.deepEqual(ring.sizeAt(ring.end), model.size);
      // What is kept, drawn from a snapshot at any moment on, is the present screen.
      for (const moment of [0, 1_000, (1_000 + now) / 2, now]) {
        const { snapshot, size, start, offset } = ring.at(moment);
        assert.ok(start <= offset && ring.has(start));
        assert.ok(all.slice(offset).every(({ at }) => at >= moment || offset === ring.start));
        const replayed = new Model(size);
        replayed.write(snapshot);
        for (let at = start; at < ring.end;) {
          const piece = ring.next(at, limit);
          replayed.resize(piece.size);
          replayed.write(piece.bytes);
          at += piece.bytes.length;
        }
        // Lines that a change of size alone moved are drawn anew by tmux, which is not here.
        if (!steps.some(({ type }) => type === "size")) {
          assert.deepEqual(replayed.lines(), model.lines());
        }
      }
    }),
    { numRuns: 300 },
  );
});

Deno.test("Ring forgets by size and by age", () => {
  let now = 0;
  const ring = new Ring({ snapshot: () => new Uint8Array(10), size: SIZE, at: 0 });
  const part = new Uint8Array(10_000);
  for (let count = 0; count < 1_000; count++) ring.append(part, now += 10);
  const kept = ring.end - ring.start;
  assert.ok(kept > 1_500_000 && kept <= 2 * 1024 * 1024 + 128 * 1024, `${kept}`);
  now += 29 * 60_000;
  ring.append(part, now);
  assert.ok(ring.end - ring.start > 1_000_000, "not yet");
  now += 31 * 60_000;
  ring.append(part, now);
  now += 6 * 60_000;
  ring.append(part, now);
  // The screen of half an hour ago stands at the end of the first of these three.
  assert.equal(ring.end - ring.start, 3 * part.length);
});
