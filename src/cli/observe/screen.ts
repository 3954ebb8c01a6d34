// SPDX-License-Identifier: Apache-2.0

/**
 * The agent's screen in this terminal, whatever the sizes of the two: a model of the one is drawn into the other,
 * with its lower or right part cut off, or a margin around it. What is drawn is only what the model's cells hold,
 * so no byte of the agent's reaches this terminal as it is.
 */
import { TerminalFilter } from "../../lib/terminal/mod.ts";
import { Pen } from "../../lib/terminal/draw.ts";
import { type Buffer, newTerminal, type Terminal } from "../../lib/terminal/xterm.ts";

/** Marks that would show a text in another order than it is. */
const BIDI = /[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
const MOUSE_MODES = ["1000", "1002", "1003"] as const;

export interface Size {
  readonly cols: number;
  readonly rows: number;
}

interface Modes {
  readonly applicationCursorKeysMode: boolean;
  readonly applicationKeypadMode: boolean;
  readonly bracketedPasteMode: boolean;
  readonly sendFocusMode: boolean;
}

export class Screen {
  readonly #terminal: Terminal;
  #filter = new TerminalFilter();
  /** DEC modes that xterm.js does not tell. */
  readonly #modes = new Map<string, boolean>([["25", true]]);
  #cursorStyle = 0;
  /** Left upper corner of what is shown. */
  #left = 0;
  #top = 0;
  /** Looked at by hand: it stays there until something is typed. */
  #pinned = false;
  /** Rows as they were drawn last. */
  #drawn: string[] = [];
  #drawnModes = "";

  constructor(size: Size) {
    this.#terminal = newTerminal(size.cols, size.rows);
    for (const final of ["h", "l"]) {
      this.#terminal.parser.registerCsiHandler({ prefix: "?", final }, (parameters) => {
        for (const mode of parameters) this.#modes.set(String(mode), final === "h");
        return false;
      });
    }
    this.#terminal.parser.registerCsiHandler({ intermediates: " ", final: "q" }, ([style]) => {
      this.#cursorStyle = typeof style === "number" && style <= 6 ? style : 0;
      return false;
    });
  }

  get size(): Size {
    return { cols: this.#terminal.cols, rows: this.#terminal.rows };
  }

  write(bytes: Uint8Array): void {
    // The relay filters as well; what it says is not taken on trust.
    this.#terminal._core._writeBuffer.writeSync(this.#filter.push(bytes));
  }

  /** What draws the whole screen, from whatever state. */
  snapshot(size: Size, bytes: Uint8Array): void {
    this.#filter = new TerminalFilter();
    this.resize(size);
    this.write(bytes);
  }

  resize(size: Size): void {
    if (size.cols !== this.#terminal.cols || size.rows !== this.#terminal.rows) {
      this.#terminal.resize(size.cols, size.rows);
    }
  }

  lines(): string[] {
    const { active } = this.#terminal.buffer;
    return Array.from(
      { length: this.#terminal.rows },
      (_, y) => active.getLine(active.baseY + y)?.translateToString(true).trimEnd() ?? "",
    );
  }

  /** The whole is drawn next time. */
  forget(): void {
    this.#drawn = [];
    this.#drawnModes = "";
  }

  /** Moves what is shown by half of `view`, where there is more to see. */
  look(direction: "up" | "down" | "left" | "right", view: Size): void {
    const half = (side: number) => Math.max(1, Math.floor(side / 2));
    this.#pinned = true;
    if (direction === "up") this.#top -= half(view.rows);
    if (direction === "down") this.#top += half(view.rows);
    if (direction === "left") this.#left -= half(view.cols);
    if (direction === "right") this.#left += half(view.cols);
    this.#clamp(view);
  }

  /** What is shown follows the cursor again. */
  follow(): void {
    this.#pinned = false;
  }

  /** Where in the agent's screen a place of this terminal is, both from 1; null: beside it. */
  place(x: number, y: number, view: Size): { x: number; y: number } | null {
    const [column, row] = [x + this.#left, y + this.#top];
    const { cols, rows } = this.#terminal;
    return x <= view.cols && y <= view.rows && column <= cols && row <= rows
      ? { x: column, y: row }
      : null;
  }

  #clamp(view: Size): void {
    const { cols, rows } = this.#terminal;
    this.#left = Math.max(0, Math.min(this.#left, cols - view.cols));
    this.#top = Math.max(0, Math.min(this.#top, rows - view.rows));
  }

  #followCursor(view: Size): void {
    const { cursorX, cursorY } = this.#terminal.buffer.active;
    const x = Math.min(cursorX, this.#terminal.cols - 1);
    if (!this.#pinned) {
      if (cursorY < this.#top) this.#top = cursorY;
      if (cursorY >= this.#top + view.rows) this.#top = cursorY - view.rows + 1;
      if (x < this.#left) this.#left = x;
      if (x >= this.#left + view.cols) this.#left = x - view.cols + 1;
    }
    this.#clamp(view);
  }

  /**
   * @param below lines under the screen's part of this terminal
   * @returns what changes this terminal, as drawn last, into how it shall be; empty: nothing
   */
  draw(view: Size, below: readonly string[] = []): string {
    this.#followCursor(view);
    const { active } = this.#terminal.buffer;
    const rows: string[] = [];
    for (let y = 0; y < view.rows; y++) rows.push(this.#row(active, y + this.#top, view.cols));
    rows.push(...below);
    let out = "";
    for (const [y, row] of rows.entries()) {
      if (this.#drawn[y] !== row) out += `\x1b[${y + 1};1H\x1b[0m${row}\x1b[0m`;
    }
    this.#drawn = rows;
    const modes = this.#drawModes(view);
    if (out === "" && modes === this.#drawnModes) return "";
    this.#drawnModes = modes;
    // Shown at once where the terminal can; the cursor is not seen on its way.
    return `\x1b[?2026h\x1b[?25l${out}${modes}\x1b[?2026l`;
  }

  #row(buffer: Buffer, y: number, width: number): string {
    const line = y < this.#terminal.rows ? buffer.getLine(buffer.baseY + y) : undefined;
    const end = line === undefined ? 0 : Math.min(this.#terminal.cols, this.#left + width);
    const pen = new Pen();
    const cell = buffer.getNullCell();
    let out = "";
    let column = this.#left;
    for (; column < end; column++) {
      if (line!.getCell(column, cell) === undefined) break;
      const columns = cell.getWidth();
      // The second half of a wide character whose first is beyond the edge, or the first without its second.
      const isCut = columns === 0 || column + columns > end;
      const text = isCut ? " " : cell.getChars() || " ";
      out += pen.turn(cell) + (text.length === 1 && text < "\x7f" ? text : text.replace(BIDI, ""));
      if (!isCut) column += columns - 1;
    }
    const margin = this.#left + width - Math.max(column, end);
    if (margin > 0) out += `\x1b[0;2m${"·".repeat(margin)}`;
    return out;
  }

  #drawModes(view: Size): string {
    const modes = this.#terminal.modes as unknown as Modes;
    const set = (mode: string, on: boolean) => `\x1b[?${mode}${on ? "h" : "l"}`;
    const mouse = this.#modes.get("1006") === true
      ? MOUSE_MODES.findLast((mode) => this.#modes.get(mode) === true)
      : undefined;
    const { cursorX, cursorY } = this.#terminal.buffer.active;
    const x = Math.min(cursorX, this.#terminal.cols - 1) - this.#left;
    const y = cursorY - this.#top;
    const isSeen = this.#modes.get("25") === true && x >= 0 && y >= 0 && x < view.cols &&
      y < view.rows;
    return set("1", modes.applicationCursorKeysMode) +
      (modes.applicationKeypadMode ? "\x1b=" : "\x1b>") +
      set("2004", modes.bracketedPasteMode) + set("1004", modes.sendFocusMode) +
      MOUSE_MODES.map((mode) => mode === mouse ? "" : set(mode, false)).join("") +
      (mouse === undefined ? set("1006", false) : set(mouse, true) + set("1006", true)) +
      `\x1b[${this.#cursorStyle} q` +
      (isSeen ? `\x1b[${y + 1};${x + 1}H\x1b[?25h` : "");
  }

  dispose(): void {
    this.#terminal.dispose();
  }
}
