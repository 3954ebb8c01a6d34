// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import { newTerminal } from "./xterm.ts";
import { neutralise, neutraliseLine, RESET_TERMINAL, safeJson, TerminalFilter } from "./mod.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const filtered = (...chunks: (string | Uint8Array)[]) => {
  const filter = new TerminalFilter();
  const out: number[] = [];
  for (const chunk of chunks) {
    out.push(...filter.push(typeof chunk === "string" ? bytes(chunk) : chunk));
  }
  return new TextDecoder().decode(new Uint8Array(out));
};

Deno.test("TerminalFilter passes what draws", () => {
  for (
    const text of [
      "plain text\r\n",
      "grüße 日本語 🎉 \u00a0é",
      "\x1b[1;31mred\x1b[0m \x1b[38;2;1;2;3mtrue\x1b[38:5:1m",
      "\x1b[2J\x1b[H\x1b[10;20H\x1b[K\x1b[?25l\x1b[?1049h\x1b[1;24r\x1b7\x1b8\x1b(0\x1b(B\x1b=\x1b>",
      "\x1b[?1000h\x1b[?1006h\x1b[?2004h\x1b[2 q\x1b[4l",
      "\b\t\x07\x0e\x0f",
      RESET_TERMINAL,
    ]
  ) assert.equal(filtered(text), text);
});

Deno.test("RESET_TERMINAL leaves the cursor where it was before the alternate screen", () => {
  const terminal = newTerminal(40, 10);
  const write = (text: string) => terminal._core._writeBuffer.writeSync(bytes(text));
  write("one\r\ntwo\r\n\x1b[?1049h\x1b[H\x1b[2Jdrawn\x1b[3;6r\x1b[?6h\x1b[5;5H");
  write(`${RESET_TERMINAL}three`);
  const { active } = terminal.buffer;
  const lines = [0, 1, 2].map((y) => active.getLine(y)!.translateToString(true));
  assert.deepEqual([active.type, ...lines], ["normal", "one", "two", "three"]);
  // Neither region nor origin is left: the last line scrolls all, and the first is the first.
  write("\x1b[10;1H\r\nfour\x1b[1;1Hfirst");
  assert.equal(active.getLine(active.baseY)!.translateToString(true), "first");
  assert.equal(active.getLine(active.baseY + 9)!.translateToString(true), "four");
});

Deno.test("TerminalFilter drops questions, clipboard, titles, links, files and reprogramming", () => {
  for (
    const text of [
      "\x1b]52;c;ZWNobyBoaQ==\x07", // clipboard
      "\x1b]0;title\x1b\\",
      "\x1b]8;;http://x/\x07",
      "\x1b]10;?\x1b\\",
      "\x1b]1337;File=name=eA==;inline=1:AAAA\x07",
      '\x1bP$q"p\x1b\\', // DECRQSS
      "\x1bP+q544e\x1b\\",
      "\x1b_Gf=24;AAAA\x1b\\",
      "\x1b^pm\x1b\\",
      "\x1bktitle\x1b\\",
      "\x1b[c",
      "\x1b[>c",
      "\x1b[=c",
      "\x1b[>q",
      "\x1b[5n",
      "\x1b[6n",
      "\x1b[?6n",
      "\x1b[?2026$p",
      "\x1b[18t",
      "\x1b[21t",
      "\x1b[0x",
      "\x1b[5i",
      "\x1b[?u",
      "\x1b[>1u",
      "\x1b[>4;2m",
      "\x1b[?3h",
      "\x1b[?25;9001h",
      "\x1b[1;1;1;1;1;1*y",
      "\x1b[?1;1;0S",
      "\x1bZ",
      "\x1bc",
      "\x05",
      "\x00\x7f",
      "\u009b6n".slice(0, 1), // C1 CSI as UTF-8
      "\u009d",
    ]
  ) assert.equal(filtered(text), "", JSON.stringify(text));
  assert.equal(filtered(new Uint8Array([0x9b, 0x36, 0x6e])), "6n");
  assert.equal(filtered("a\x1b]52;c;eA==\x07b"), "ab");
});

Deno.test("TerminalFilter gives the same whatever the chunks are", () => {
  const pieces = fc.array(
    fc.oneof(
      fc.string({ unit: "binary" }).map(bytes),
      fc.uint8Array({ maxLength: 20 }),
      fc.constantFrom(
        "\x1b[",
        "\x1b]52;c;",
        "\x07",
        "\x1b\\",
        "\x1b[31m",
        "\x1b",
        "\x9b",
        "?1049h",
        "6n",
        "é",
      )
        .map(bytes),
    ),
    { maxLength: 20 },
  );
  fc.assert(fc.property(pieces, (chunks) => {
    const whole = new Uint8Array(chunks.flatMap((chunk) => [...chunk]));
    const once = new TerminalFilter().push(whole);
    const single = new TerminalFilter();
    const each = [...whole].flatMap((byte) => [...single.push(new Uint8Array([byte]))]);
    assert.deepEqual([...once], each);
  }));
});

Deno.test("TerminalFilter leaves nothing that begins a sequence it does not allow, when filtered twice", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (input) => {
      const once = new TerminalFilter().push(input);
      // What was let through is let through again: nothing new was put together by dropping.
      assert.deepEqual([...new TerminalFilter().push(once)], [...once]);
    }),
    { numRuns: 2000 },
  );
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(..."\x1b[]?;0152hln\x07\\P\x9b\xc2 !$m\x18"), { maxLength: 60 }),
      (characters) => {
        const once = new TerminalFilter().push(
          new Uint8Array(characters.map((character) => character.charCodeAt(0))),
        );
        assert.deepEqual([...new TerminalFilter().push(once)], [...once]);
      },
    ),
    { numRuns: 5000 },
  );
});

Deno.test("neutralise() shows control characters instead of sending them", () => {
  assert.equal(
    neutralise("a\x1b[31mb\x07\r\nc\td\u202e\x9b"),
    "a\\x1b[31mb\\x07\nc\td\\u{202e}\\x9b",
  );
  assert.equal(neutraliseLine("a\nb\tc\x00"), "a\\nb c\\x00");
  assert.equal(neutralise("grüße 日本語 🎉"), "grüße 日本語 🎉");
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    // deno-lint-ignore no-control-regex
    assert.doesNotMatch(neutralise(text), /[\x00-\x08\x0b-\x1f\x7f-\x9f]/);
    assert.deepEqual(JSON.parse(safeJson({ text })), { text });
    // deno-lint-ignore no-control-regex
    assert.doesNotMatch(safeJson({ text }), /[\x00-\x1f\x7f-\x9f]/);
  }));
});
