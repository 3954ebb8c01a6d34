// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import { TerminalFilter } from "../lib/terminal/filter.ts";
import { Model } from "./model.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const SIZE = { cols: 20, rows: 6 };

/** Everything by which two terminals can differ, as one draws it. */
const everything = (model: Model) => new TextDecoder().decode(model.snapshot());

const pieces = fc.array(
  fc.oneof(
    fc.constantFrom(
      ...["\r\n", "\r", "\n", "\b", "\t", "\x1bM", "\x1bD", "\x1bE", "\x1b=", "\x1b>", "\x1b[m"],
      ...["\x1b[1;31m", "\x1b[38;5;200;48;2;1;2;3m", "\x1b[7;9m", "\x1b[2;3;4;5m", "\x1b[8m"],
      ...["\x1b[K", "\x1b[1K", "\x1b[J", "\x1b[1J", "\x1b[2J", "\x1b[2P", "\x1b[3@", "\x1b[2X"],
      ...["\x1b[2L", "\x1b[M", "\x1b[2S", "\x1b[T", "\x1b[2;4r", "\x1b[r", "\x1b[44m"],
      ...["\x1b[?1049h", "\x1b[?25l", "\x1b[?25h", "\x1b[?1h", "\x1b[?7l", "\x1b[?7h", "\x1b[4h"],
      ...["\x1b[4l", "\x1b[?1006h", "\x1b[?1002h", "\x1b[?2004h", "\x1b[?1004h", "\x1b[3 q"],
      ...["\x1b[?6h", "\x1b[?6l", "日本", "é", "e\u0301", "🎉", "x".repeat(20), "─│"],
    ),
    fc.record({ y: fc.integer({ min: 1, max: 7 }), x: fc.integer({ min: 1, max: 22 }) })
      .map(({ y, x }) => `\x1b[${y};${x}H`),
    fc.string({ maxLength: 25 }).map((text) => text.replaceAll("\x1b", "")),
  ),
  { maxLength: 40 },
);

Deno.test("Model.snapshot() draws a screen that looks the same and goes on the same", () => {
  fc.assert(
    fc.property(pieces, pieces, (before, after) => {
      const first = new Model(SIZE);
      first.write(encode("\x1b[?1049h" + before.join("")));
      const second = new Model(SIZE);
      // Whatever stood there, and whatever state it was in.
      second.write(
        encode("\x1b[?1049hrubbish\x1b[3;5r\x1b[?6h\x1b[4h\x1b[?25l\x1b[45m\x1b[?1003h"),
      );
      second.write(first.snapshot());
      assert.deepEqual(second.lines(), first.lines());
      assert.deepEqual(second.cursor(), first.cursor());
      assert.equal(everything(second), everything(first));
      const rest = encode(after.join(""));
      first.write(rest);
      second.write(rest);
      assert.deepEqual(second.lines(), first.lines());
      assert.equal(everything(second), everything(first));
    }),
    { numRuns: 1000 },
  );
});

Deno.test("Model.snapshot() holds nothing that the filter would take out", () => {
  fc.assert(fc.property(pieces, (before) => {
    const model = new Model(SIZE);
    model.write(new TerminalFilter().push(encode("\x1b[?1049h" + before.join(""))));
    const snapshot = model.snapshot();
    assert.deepEqual(new TerminalFilter().push(snapshot), snapshot);
  }));
});

Deno.test("Model counts columns as tmux does", () => {
  const model = new Model(SIZE);
  for (
    const [text, columns] of [["a", 1], ["é", 1], ["e\u0301", 1], ["日", 2], ["🎉", 2], [
      "🫠",
      2,
    ]] as const
  ) {
    model.write(encode("\x1b[H" + text));
    assert.equal(model.cursor().x, columns, text);
  }
});

Deno.test("Model takes anything, and rings", () => {
  let rings = 0;
  const model = new Model(SIZE, () => rings++);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
    model.write(bytes);
    assert.equal(model.lines().length, SIZE.rows);
  }));
  model.write(encode("\x18\x1b\\\x07"));
  assert.ok(rings > 0);
});
