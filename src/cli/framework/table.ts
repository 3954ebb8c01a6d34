// SPDX-License-Identifier: Apache-2.0

/** Lists, as they fit the screen. */
import { clipText, textColumns } from "../../lib/terminal/text.ts";
import { paint, type Screen, screen, type Tone } from "./screen.ts";

export type Cell = string | { readonly text: string; readonly tone: Tone };

const GAP = 2;
/** Wider, a column may give way. */
const WIDE = 24;
/** Narrower, it says nothing any more. */
const LEAST = 12;

/**
 * Columns as wide as their widest cell, the last one not padded. Where that is wider than the screen, wide columns and the
 * last one are cut, with `…`; the first is what one types, and stays whole. Where that is not enough, `lesser` columns are
 * left out, one after the other; where nothing helps, each row is a few lines of its own.
 */
export function table(
  heading: readonly string[],
  rows: readonly (readonly Cell[])[],
  lesser: readonly string[] = [],
  on: Screen = screen(),
): string[] {
  const cells = [heading.map((text): Cell => ({ text, tone: "heading" })), ...rows];
  const natural = heading.map((_, column) =>
    Math.max(...cells.map((row) => textColumns(textOf(row[column] ?? ""))))
  );
  for (let out = 0; out <= lesser.length; out++) {
    const gone = lesser.slice(0, out);
    const shown = heading.flatMap((name, at) => gone.includes(name) ? [] : [at]);
    const widths = fit(shown.map((at) => natural[at]!), on.columns);
    if (widths === null) continue;
    return cells.map((row) => lineOf(shown.map((at) => row[at] ?? ""), widths, on));
  }
  return rows.flatMap((row, at) => record(heading, row, at > 0, on));
}

function lineOf(row: readonly Cell[], widths: readonly number[], on: Screen): string {
  return row.map((cell, at) => {
    const shown = clipText(textOf(cell), widths[at]!);
    const pad = at === row.length - 1 ? "" : " ".repeat(widths[at]! - textColumns(shown));
    return painted(shown, cell, on) + pad;
  }).join(" ".repeat(GAP)).trimEnd();
}

const textOf = (cell: Cell): string => typeof cell === "string" ? cell : cell.text;

const painted = (shown: string, cell: Cell, on: Screen): string =>
  typeof cell === "string" ? shown : paint(shown, cell.tone, on);

/** @returns null: there is no room for the beginning of each */
function fit(natural: readonly number[], columns: number | null): readonly number[] | null {
  if (columns === null) return natural;
  const least = natural.map((width, at) => {
    const gives = at > 0 && (width > WIDE || at === natural.length - 1);
    return gives ? Math.min(width, LEAST) : width;
  });
  const widths = [...natural];
  let over = widths.reduce((sum, width) => sum + width, GAP * (widths.length - 1)) - columns;
  while (over > 0) {
    const spare = widths.map((width, at) => width > least[at]! ? width : 0);
    const widest = Math.max(...spare);
    if (widest === 0) return null;
    widths[spare.lastIndexOf(widest)]! -= 1;
    over--;
  }
  return widths;
}

/** A row by itself: a line a column that says something. */
function record(
  heading: readonly string[],
  row: readonly Cell[],
  isNext: boolean,
  on: Screen,
): string[] {
  const label = Math.max(...heading.map(textColumns));
  const lines = row.flatMap((cell, column) => {
    if (textOf(cell) === "") return [];
    const name = heading[column]!;
    const room = Math.max(1, on.columns! - label - GAP);
    const shown = painted(clipText(textOf(cell), room), cell, on);
    const pad = " ".repeat(label - textColumns(name) + GAP);
    return [label === 0 ? shown : paint(name, "heading", on) + pad + shown];
  });
  return [...(isNext ? [""] : []), ...lines];
}
