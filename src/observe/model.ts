// SPDX-License-Identifier: Apache-2.0

/**
 * What stands on the session's terminal, kept by reading its stream: so that who comes late sees the
 * screen at once. It never answers: nothing that the terminal would say goes anywhere (its `onData` has no
 * listener), and questions do not pass the filter before it.
 */
import { CLEAN, drawLine, drawPendingWrap, Pen } from "./draw.ts";
import type { Size } from "./frames.ts";
import { newTerminal, type Terminal } from "./xterm.ts";

/** Modes whose state xterm.js does not tell, followed as the stream sets them: number → when none was set. */
const FOLLOWED: Readonly<Record<number, boolean>> = {
  5: false,
  12: false,
  25: true,
  1000: false,
  1002: false,
  1003: false,
  1005: false,
  1006: false,
  1015: false,
};

export class Model {
  readonly #terminal: Terminal;
  readonly #modes = new Map(
    Object.entries(FOLLOWED).map(([mode, set]) => [Number(mode), set] as const),
  );
  /** Parameter of the last DECSCUSR. */
  #cursorStyle = 0;

  constructor(size: Size, onBell: () => void = () => {}) {
    const terminal = newTerminal(size.cols, size.rows);
    this.#terminal = terminal;
    terminal.onBell(onBell);
    for (const final of ["h", "l"]) {
      terminal.parser.registerCsiHandler({ prefix: "?", final }, (parameters) => {
        for (const mode of parameters) {
          if (typeof mode === "number" && this.#modes.has(mode)) {
            this.#modes.set(mode, final === "h");
          }
        }
        return false;
      });
    }
    terminal.parser.registerCsiHandler({ intermediates: " ", final: "q" }, ([style]) => {
      this.#cursorStyle = typeof style === "number" ? style : 0;
      return false;
    });
  }

  get size(): Size {
    return { cols: this.#terminal.cols, rows: this.#terminal.rows };
  }

  /** Takes effect before it returns. */
  write(bytes: Uint8Array): void {
    this.#terminal._core._writeBuffer.writeSync(bytes);
  }

  resize(size: Size): void {
    this.#terminal.resize(size.cols, size.rows);
  }

  lines(): string[] {
    const { cols, rows, buffer: { active } } = this.#terminal;
    // A line may be longer than the screen has been since.
    return Array.from(
      { length: rows },
      (_, y) => active.getLine(active.baseY + y)?.translateToString(true, 0, cols).trimEnd() ?? "",
    );
  }

  cursor(): { x: number; y: number; visible: boolean } {
    const { cursorX, cursorY } = this.#terminal.buffer.active;
    return {
      // Past the last column it waits for the next character to wrap.
      x: Math.min(cursorX, this.#terminal.cols - 1),
      y: cursorY,
      visible: this.#modes.get(25)!,
    };
  }

  /** Bytes that draw this screen, with all that decides how the stream goes on, from any state. */
  snapshot(): Uint8Array<ArrayBuffer> {
    const { cols, rows, buffer: { active }, _core } = this.#terminal;
    const pen = new Pen();
    let out = active.type === "alternate" ? CLEAN : CLEAN.replace("\x1b[?1049h", "");
    for (let y = 0; y < rows; y++) out += drawLine(active, y, cols, pen);
    out += this.#drawModes();
    const { scrollTop, scrollBottom } = _core.buffer;
    if (scrollTop > 0 || scrollBottom < rows - 1) {
      out += `\x1b[${scrollTop + 1};${scrollBottom + 1}r`;
    }
    const { cursorX, cursorY } = active;
    // Where the region is the origin, the cursor's place is counted from its top.
    const isOrigin = this.#terminal.modes.originMode;
    if (isOrigin) out += "\x1b[?6h";
    const place = (isOrigin ? cursorY - scrollTop : cursorY) + 1;
    out += cursorX >= cols
      ? drawPendingWrap(active, cursorY, cols, place, pen)
      : `\x1b[${place};${cursorX + 1}H`;
    out += pen.turn(_core._inputHandler._curAttrData);
    return new TextEncoder().encode(out);
  }

  #drawModes(): string {
    const { modes } = this.#terminal;
    let out = "";
    if (modes.applicationCursorKeysMode) out += "\x1b[?1h";
    if (modes.applicationKeypadMode) out += "\x1b=";
    if (modes.bracketedPasteMode) out += "\x1b[?2004h";
    if (modes.insertMode) out += "\x1b[4h";
    if (modes.sendFocusMode) out += "\x1b[?1004h";
    if (!modes.wraparoundMode) out += "\x1b[?7l";
    for (const [mode, set] of this.#modes) {
      if (set !== FOLLOWED[mode]) out += `\x1b[?${mode}${set ? "h" : "l"}`;
    }
    if (this.#cursorStyle !== 0) out += `\x1b[${this.#cursorStyle} q`;
    return out;
  }

  dispose(): void {
    this.#terminal.dispose();
  }
}
