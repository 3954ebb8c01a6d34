// SPDX-License-Identifier: Apache-2.0

/** Text in columns of a terminal. */
import { columnsOf } from "./widths.ts";

export function textColumns(text: string): number {
  let columns = 0;
  for (const character of text) columns += columnsOf(character.codePointAt(0)!);
  return columns;
}

/** The beginning of it that takes at most so many columns, with `…` at its end where that is not all. */
export function clipText(text: string, columns: number): string {
  if (textColumns(text) <= columns) return text;
  let shown = "";
  let left = columns - 1;
  for (const character of text) {
    left -= columnsOf(character.codePointAt(0)!);
    if (left < 0) break;
    shown += character;
  }
  return `${shown}…`;
}
