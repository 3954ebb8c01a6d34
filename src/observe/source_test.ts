// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import { TerminalFilter } from "../lib/terminal/filter.ts";
import { Source } from "./source.ts";

const encode = (text: string) => new TextEncoder().encode(text);

/** Parts and titles of `bytes`, cut at the given places. */
function read(bytes: Uint8Array, cuts: readonly number[] = []) {
  const titles: string[] = [];
  const source = new Source({
    onTitle: ({ text, alternate }) => titles.push(`${alternate} ${text}`),
  });
  const parts: Uint8Array[] = [];
  let from = 0;
  for (
    const to of [...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  ) {
    parts.push(source.push(bytes.subarray(from, to)));
    from = to;
  }
  return { titles, parts, bytes: parts.flatMap((part) => [...part]) };
}

const pieces = fc.array(
  fc.oneof(
    fc.constantFrom(
      "日",
      "🎉",
      "é",
      "\x1b[31m",
      "\x1b]2;1;t日\x07",
      "\x1b]0;0;u\x1b\\",
      "\x1b]52;c;x\x07",
    ),
    fc.constantFrom("\x1b", "]", "2", ";", "\x07", "\\", "plain"),
    fc.string({ unit: "binary", maxLength: 5 }),
  ),
).map((all) => encode(all.join("")));

Deno.test("Source gives the same whatever the chunks are, in whole characters", () => {
  fc.assert(fc.property(pieces, fc.array(fc.nat(), { maxLength: 10 }), (bytes, cuts) => {
    const [whole, cut] = [read(bytes), read(bytes, cuts)];
    assert.deepEqual(cut.titles, whole.titles);
    assert.deepEqual(cut.bytes, whole.bytes);
    const filtered = new TerminalFilter().push(bytes);
    assert.deepEqual(whole.bytes, [...filtered].slice(0, whole.bytes.length));
    assert.ok(filtered.length - whole.bytes.length <= 3);
    for (const part of cut.parts) {
      // Throws where a character is cut.
      new TextDecoder("utf-8", { fatal: true }).decode(part);
    }
  }));
});

Deno.test("Source tells titles, harmless and bounded, and whether the alternate screen is on", () => {
  const { titles } = read(encode(
    "x\x1b]0;0;first\x07\x1b[31m\x1b]2;1;a\u202eb\u009b\x1b\\\x1b]52;c;0;no\x07\x1b]2;0;" +
      "y".repeat(999) + "\x07",
  ));
  assert.deepEqual(titles.slice(0, 2), ["false first", "true a\\u{202e}b\\x9b"]);
  assert.equal(titles.length, 3);
  assert.ok(titles[2]!.length < 300);
});
