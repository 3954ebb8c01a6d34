// SPDX-License-Identifier: Apache-2.0

/** Terminal bytes that draw a screen as another terminal has it. */
import { RESET_TERMINAL } from "./filter.ts";
import { type Attributes, type Buffer, type Cell, ColorMode } from "./xterm.ts";

/** One line's cells at their places; blanks with no attributes at its end are left out. */
export function drawLine(buffer: Buffer, y: number, cols: number, pen: Pen): string {
  const line = buffer.getLine(buffer.baseY + y);
  if (line === undefined) return "";
  const cell = buffer.getNullCell();
  let out = `\x1b[${y + 1};1H`;
  let at = 0;
  for (let x = 0; x < cols; x++) {
    if (line.getCell(x, cell) === undefined || cell.getWidth() === 0) continue;
    const chars = cell.getChars();
    if ((chars === "" || chars === " ") && cell.fg === 0 && cell.bg === 0) continue;
    if (at !== x) out += `\x1b[${y + 1};${x + 1}H`;
    out += pen.turn(cell) + (chars === "" ? " " : chars);
    // Past a wide character; after the last column the cursor waits there.
    at = x + cell.getWidth();
  }
  return at === 0 ? "" : out;
}

/**
 * The last cell again, after which the cursor waits at the line's end instead of wrapping.
 *
 * @param place the line's number for the terminal
 */
export function drawPendingWrap(
  buffer: Buffer,
  y: number,
  cols: number,
  place: number,
  pen: Pen,
): string {
  const line = buffer.getLine(buffer.baseY + y)!;
  const cell: Cell = buffer.getNullCell();
  let x = cols - 1;
  while (x > 0 && line.getCell(x, cell)?.getWidth() === 0) x--;
  line.getCell(x, cell);
  return `\x1b[${place};${x + 1}H${pen.turn(cell)}${cell.getChars() || " "}`;
}

/** Attributes that hold where the drawing is. */
export class Pen {
  #fg = 0;
  #bg = 0;

  /** @returns what changes them to those */
  turn(attributes: Attributes): string {
    // Bit fields that say nothing of the look (that a cell has more attributes elsewhere) compare as well.
    if (attributes.fg === this.#fg && attributes.bg === this.#bg) return "";
    this.#fg = attributes.fg;
    this.#bg = attributes.bg;
    return sgr(attributes);
  }
}

function sgr(attributes: Attributes): string {
  const codes: (number | string)[] = [0];
  if (attributes.isBold()) codes.push(1);
  if (attributes.isDim()) codes.push(2);
  if (attributes.isItalic()) codes.push(3);
  if (attributes.isUnderline()) codes.push(4);
  if (attributes.isBlink()) codes.push(5);
  if (attributes.isInverse()) codes.push(7);
  if (attributes.isInvisible()) codes.push(8);
  if (attributes.isStrikethrough()) codes.push(9);
  if (attributes.isOverline()) codes.push(53);
  if (!attributes.isFgDefault()) {
    codes.push(color(30, attributes.getFgColorMode(), attributes.getFgColor()));
  }
  if (!attributes.isBgDefault()) {
    codes.push(color(40, attributes.getBgColorMode(), attributes.getBgColor()));
  }
  return `\x1b[${codes.join(";")}m`;
}

function color(base: 30 | 40, mode: number, value: number): string {
  if (mode === ColorMode.sixteen) return String(value < 8 ? base + value : base + 60 + value - 8);
  if (mode === ColorMode.palette) return `${base + 8};5;${value}`;
  return `${base + 8};2;${value >> 16 & 255};${value >> 8 & 255};${value & 255}`;
}

/** From any state to an empty screen. */
export const CLEAN = `${RESET_TERMINAL}\x1b[?1049h\x1b[2J\x1b[H`;
