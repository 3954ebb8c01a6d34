// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { stripVTControlCharacters } from "node:util";
import { textColumns } from "../../lib/terminal/text.ts";
import { PLAIN, type Screen, screenOf } from "./screen.ts";
import { type Cell, table } from "./table.ts";

const HEADING = ["AGENT", "STATE", "TEMPLATE", "NOTE"];
const ROWS: readonly (readonly Cell[])[] = [
  ["agent/scribe", "running", "bureau/template:scribe", ""],
  ["agent/日本語", { text: "failed", tone: "bad" }, "bureau/template:agent", "x".repeat(200)],
];
const wide = (columns: number): Screen => ({ columns, color: false });

Deno.test("table() shows everything where the width is nobody's", () => {
  assert.deepEqual(table(["A", "B"], [["1", "two"], ["three", ""]], [], PLAIN), [
    "A      B",
    "1      two",
    "three",
  ]);
  assert.ok(table(HEADING, ROWS, [], PLAIN)[2]!.endsWith("x".repeat(200)));
});

Deno.test("table() fits any screen, counts wide characters as two, and says where it cut", () => {
  for (const columns of [20, 40, 60, 80, 120]) {
    for (const line of table(HEADING, ROWS, ["TEMPLATE"], wide(columns))) {
      assert.ok(textColumns(line) <= columns, `${columns}: ${line}`);
    }
  }
  const [, scribe, other] = table(HEADING, ROWS, [], wide(80));
  assert.equal(scribe, "agent/scribe  running  bureau/template:scribe");
  assert.match(other!, /^agent\/日本語 {2}failed {3}bureau\/template:agent {3}x+…$/);
});

Deno.test("table() leaves out what matters less before what matters more is cut away", () => {
  assert.equal(table(HEADING, ROWS, ["TEMPLATE"], wide(50))[0], "AGENT         STATE    NOTE");
  assert.equal(table(HEADING, ROWS, ["TEMPLATE"], wide(80))[0]!.includes("TEMPLATE"), true);
});

Deno.test("table() gives each row lines of its own where columns would say nothing", () => {
  const lines = table(HEADING, ROWS, [], wide(24));
  assert.deepEqual(lines.slice(0, 4), [
    "AGENT     agent/scribe",
    "STATE     running",
    "TEMPLATE  bureau/templa…",
    "",
  ]);
  assert.equal(lines[4], "AGENT     agent/日本語");
});

Deno.test("colors are in the words, too, and only where somebody sees them", () => {
  const colored = table(HEADING, ROWS, [], { columns: null, color: true });
  assert.ok(colored[2]!.includes("\x1b[31mfailed\x1b[0m"), colored[2]);
  const plain = colored.map((line) => stripVTControlCharacters(line));
  assert.deepEqual(plain, table(HEADING, ROWS, [], PLAIN));
});

Deno.test("screenOf() asks the environment, and the terminal where there is one", () => {
  const of = (isTerminal: boolean, env: Record<string, string>) =>
    screenOf({ isTerminal, width: () => 100, env: (name) => env[name] });
  assert.deepEqual(of(false, {}), PLAIN);
  assert.deepEqual(of(true, {}), { columns: 100, color: true });
  assert.deepEqual(of(true, { NO_COLOR: "1" }), { columns: 100, color: false });
  assert.equal(of(true, { TERM: "dumb" }).color, false);
  assert.equal(of(false, { FORCE_COLOR: "1" }).color, true);
  assert.equal(of(true, { FORCE_COLOR: "0" }).color, false);
  assert.equal(of(true, { FORCE_COLOR: "1", NO_COLOR: "1" }).color, false);
  assert.equal(of(false, { COLUMNS: "40" }).columns, 40);
  assert.equal(of(true, { COLUMNS: "0" }).columns, 100);
});
