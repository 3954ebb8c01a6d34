// SPDX-License-Identifier: Apache-2.0

/** What is drawn, read by a second terminal: it must show what the first one holds. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { newTerminal } from "../../lib/terminal/xterm.ts";
import { Screen } from "./screen.ts";
import { personOf, type Standing, statusLine } from "./status_line.ts";

const encode = (text: string) => new TextEncoder().encode(text);

class Person {
  readonly terminal;
  constructor(readonly cols: number, readonly rows: number) {
    this.terminal = newTerminal(cols, rows);
    this.write("\x1b[?1049h\x1b[?7l\x1b[2J");
  }

  write(text: string): void {
    this.terminal._core._writeBuffer.writeSync(encode(text));
  }

  lines(): string[] {
    const { active } = this.terminal.buffer;
    return Array.from(
      { length: this.rows },
      (_, y) => active.getLine(active.baseY + y)!.translateToString(false),
    );
  }
}

/** Bytes as programs write them: text, some of it wide, colours, cursor and scrolling. */
const piece = fc.oneof(
  fc.string({ unit: "grapheme-ascii", maxLength: 30 }),
  fc.constantFrom("漢字", "é", "e\u0301", "🙂", "\r\n", "\n", "\r", "\t", "\b"),
  fc.tuple(fc.integer({ min: 1, max: 14 }), fc.integer({ min: 1, max: 44 }))
    .map(([y, x]) => `\x1b[${y};${x}H`),
  fc.constantFrom("\x1b[1;31m", "\x1b[0m", "\x1b[48;2;1;2;3m", "\x1b[K", "\x1b[J", "\x1b[2J"),
  fc.constantFrom("\x1b[3;8r", "\x1b[r", "\x1b[2L", "\x1b[M", "\x1b[5P", "\x1bM", "\x1b[?7l"),
  fc.constantFrom("\x1b[?1049h", "\x1b[?1049l", "\x1b[?25l", "\x1b[?25h", "\x1b[?6h", "\x1b[?6l"),
);

Deno.test("a terminal of the same size shows the same, step by step", () => {
  fc.assert(fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
    const size = { cols: 40, rows: 12 };
    const screen = new Screen(size);
    const person = new Person(40, 12);
    for (const text of pieces) {
      screen.write(encode(text));
      person.write(screen.draw(size));
    }
    const expected = screen.lines();
    assert.deepEqual(person.lines().map((line) => line.trimEnd()), expected);
  }));
});

Deno.test("a smaller terminal shows the part around the cursor, a larger one the whole in a margin", () => {
  const text = fc.array(fc.string({ unit: "grapheme-ascii", minLength: 40, maxLength: 40 }), {
    minLength: 12,
    maxLength: 12,
  });
  const place = fc.tuple(fc.nat(39), fc.nat(11));
  const view = fc.record({
    // A terminal of xterm.js has two at least.
    cols: fc.integer({ min: 2, max: 60 }),
    rows: fc.integer({ min: 1, max: 20 }),
  });
  fc.assert(
    fc.property(
      text,
      fc.array(place, { minLength: 1, maxLength: 5 }),
      view,
      (lines, places, view) => {
        const screen = new Screen({ cols: 40, rows: 12 });
        screen.write(encode(lines.map((line, y) => `\x1b[${y + 1};1H${line}`).join("")));
        const person = new Person(view.cols, view.rows);
        for (const [x, y] of places) {
          screen.write(encode(`\x1b[${y + 1};${x + 1}H`));
          person.write(screen.draw(view));
          const { cursorX, cursorY } = person.terminal.buffer.active;
          // What stands under the cursor there is what stands under it here.
          const shown = person.lines();
          assert.equal(shown[cursorY]![cursorX], lines[y]![x]);
          if (view.cols > 40) assert.equal(shown[0]!.slice(40), "·".repeat(view.cols - 40));
          if (view.rows > 12) {
            assert.equal(shown[12], "·".repeat(view.cols));
          }
        }
        const part = person.lines()[0]!.slice(0, Math.min(40, view.cols));
        assert.ok(lines.some((line) => line.includes(part)));
      },
    ),
  );
});

Deno.test("a wide character that the edge cuts is a blank, and nothing shifts", () => {
  const screen = new Screen({ cols: 10, rows: 2 });
  screen.write(encode("ab漢cd\x1b[1;1H"));
  const person = new Person(3, 2);
  person.write(screen.draw({ cols: 3, rows: 2 }));
  assert.equal(person.lines()[0], "ab ");
  screen.look("right", { cols: 3, rows: 2 });
  screen.look("right", { cols: 3, rows: 2 });
  screen.look("right", { cols: 3, rows: 2 });
  person.write(screen.draw({ cols: 3, rows: 2 }));
  assert.equal(person.lines()[0], " cd");
});

Deno.test("nothing that the agent writes reaches the terminal but characters and colours", () => {
  const screen = new Screen({ cols: 40, rows: 3 });
  screen.write(
    encode("\x1b]52;c;eHg=\x07\x1b]2;title\x07\x1b[6n\x1bP$qm\x1b\\\x1b[21t\x05ok\u202e!"),
  );
  const drawn = screen.draw({ cols: 40, rows: 3 });
  // deno-lint-ignore no-control-regex
  const rest = drawn.replaceAll(/\x1b\[[\d;?]*[ ]?[Hmhlq]|\x1b[=>]/g, "");
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(rest, /[\x00-\x1f\x7f-\x9f\u202e]/);
  assert.match(rest, /ok!/);
});

Deno.test("modes of the keyboard and the mouse are the agent's, and go when they go", () => {
  const view = { cols: 20, rows: 3 };
  const screen = new Screen(view);
  screen.write(encode("\x1b[?1h\x1b[?2004h\x1b[?1002h\x1b[?1006h"));
  const on = screen.draw(view);
  for (const mode of ["?1h", "?2004h", "?1002h", "?1006h"]) assert.ok(on.includes(`\x1b[${mode}`));
  screen.write(encode("\x1b[?1l\x1b[?2004l\x1b[?1002l\x1b[?1006l"));
  const off = screen.draw(view);
  for (const mode of ["?1l", "?2004l", "?1002l", "?1006l"]) assert.ok(off.includes(`\x1b[${mode}`));
  assert.equal(screen.draw(view), "", "nothing changed, nothing is drawn");
});

Deno.test("statusLine() has the width it is given, and says who has the keyboard", () => {
  const watchers = [
    { id: "1", who: "@operator:bureau.local", mode: "readwrite" as const, since: 0 },
    { id: "2", who: "@eve\x1b[31m:bureau.local", mode: "readonly" as const, since: 0 },
  ];
  const of = (more: Partial<Standing>): Standing => ({
    name: "agent/scribe",
    mode: "readwrite",
    self: "1",
    writer: null,
    watchers,
    ...more,
  });
  const text = (standing: Standing, width = 120) => statusLine(standing, null, width).slice(4);
  for (const width of [1, 5, 30, 80, 200]) {
    assert.equal([...text(of({}), width)].length, width);
  }
  assert.match(text(of({})), /type to take the keyboard · also here: eve\\x1b\[31m/);
  assert.match(text(of({ writer: "1" })), /you have the keyboard/);
  assert.match(text(of({ writer: "2" })), /eve\\x1b\[31m has the keyboard/);
  assert.match(
    text(of({ writer: "1", self: "2", mode: "readonly" })),
    /you watch, operator has the keyboard/,
  );
  assert.equal(personOf("link of Ada"), "link of Ada");
  assert.equal(personOf("@ada:bureau.local (from box)"), "ada (from box)");
});
