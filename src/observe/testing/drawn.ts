// SPDX-License-Identifier: Apache-2.0

/** A person's terminal, drawn from nothing but the frames that a watcher is sent. */
import type { TestWatcher } from "../_session.ts";
import type { Size } from "../frames.ts";
import { type Cell, newTerminal, type Terminal } from "../xterm.ts";

/** A terminal of xterm.js, and what can be seen of it. */
export class Screen {
  readonly #terminal: Terminal;

  constructor({ cols, rows }: Size) {
    this.#terminal = newTerminal(cols, rows);
  }

  write(bytes: Uint8Array): void {
    this.#terminal._core._writeBuffer.writeSync(bytes);
  }

  resize({ cols, rows }: Size): void {
    this.#terminal.resize(cols, rows);
  }

  get size(): Size {
    return { cols: this.#terminal.cols, rows: this.#terminal.rows };
  }

  get cursor(): { x: number; y: number } {
    const { cursorX, cursorY } = this.#terminal.buffer.active;
    return { x: Math.min(cursorX, this.#terminal.cols - 1), y: cursorY };
  }

  get modes(): Terminal["modes"] & { readonly mouseTrackingMode?: string } {
    return this.#terminal.modes;
  }

  get lines(): string[] {
    const { cols, rows, buffer: { active } } = this.#terminal;
    return Array.from(
      { length: rows },
      (_, y) => active.getLine(active.baseY + y)!.translateToString(true, 0, cols).trimEnd(),
    );
  }

  /** Each cell with the attributes that can be seen: a blank's own colour cannot. */
  get look(): string[] {
    const { cols, rows, buffer: { active } } = this.#terminal;
    return Array.from({ length: rows }, (_, y) => {
      const line = active.getLine(active.baseY + y)!;
      let out = "";
      let before = "";
      for (let x = 0; x < cols; x++) {
        const cell = line.getCell(x)!;
        if (cell.getWidth() === 0) continue;
        const chars = cell.getChars() || " ";
        const style = visible(cell, chars);
        if (style !== before) out += `{${style}}`;
        before = style;
        out += chars;
      }
      return out;
    });
  }
}

function visible(cell: Cell, chars: string): string {
  const background = cell.isBgDefault() ? "" : `on ${cell.getBgColorMode()}:${cell.getBgColor()}`;
  const lines = [
    cell.isInverse() && "inverse",
    cell.isUnderline() && "underline",
    cell.isStrikethrough() && "strike",
    cell.isOverline() && "overline",
  ].filter(Boolean).join(" ");
  if (chars === " " && lines === "") return background;
  const color = cell.isFgDefault() ? "" : `${cell.getFgColorMode()}:${cell.getFgColor()}`;
  const style = [cell.isBold() && "bold", cell.isDim() && "dim", cell.isItalic() && "italic"];
  return [background, lines, color, ...style.filter(Boolean)].join(" ").trim();
}

export class Drawn {
  #model: Screen | null = null;
  /** Each byte of the stream that came as output, in order, from `start` on. */
  readonly bytes: number[] = [];
  start: number | null = null;
  /** Offset of the next byte, as the frames have it. */
  offset = 0;
  snapshots = 0;
  readonly keepBytes: boolean;

  constructor(keepBytes = false) {
    this.keepBytes = keepBytes;
  }

  /** To be given to `TestWatcher.attach()`: takes what this connection brings. */
  readonly follow = (watcher: TestWatcher): void => {
    watcher.onDrawn = (frame) => {
      if (frame.kind === "size") return this.#model?.resize(frame);
      if (frame.kind === "input") throw new Error("input came down");
      if (frame.kind === "snapshot") {
        const { cols, rows } = frame;
        this.#model ??= new Screen({ cols, rows });
        this.#model.resize({ cols, rows });
        this.offset = frame.offset;
        this.snapshots++;
      } else {
        if (frame.offset !== this.offset) {
          throw new Error(`bytes of ${frame.offset} came at ${this.offset}`);
        }
        this.start ??= frame.offset;
        if (this.keepBytes) this.bytes.push(...frame.bytes);
        this.offset += frame.bytes.length;
      }
      this.#model!.write(frame.bytes);
    };
  };

  get screen(): Screen {
    return this.#model!;
  }

  /** As `capture-pane -p` has it: no blank lines at its end. */
  get text(): string {
    return (this.#model?.lines ?? []).join("\n").trimEnd();
  }
}
