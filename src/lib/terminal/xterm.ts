// SPDX-License-Identifier: Apache-2.0

/**
 * The terminal of xterm.js without a screen, and what is needed of it beyond its public interface: writes
 * that are done when the call returns, the pen, the region that scrolls. Pinned to 6.0.0; `observe/model_test.ts`
 * fails where another version has moved something. (The package's own `module` field names a file that is
 * not in it, so `deno.json` names the file.)
 */
import * as headless from "@xterm/headless";
import { tmuxWidths } from "./widths.ts";

/** Attributes of a cell or of the pen, as xterm.js keeps them: two words in one comparison each. */
export interface Attributes {
  readonly fg: number;
  readonly bg: number;
  isBold(): number;
  isDim(): number;
  isItalic(): number;
  isUnderline(): number;
  isBlink(): number;
  isInverse(): number;
  isInvisible(): number;
  isStrikethrough(): number;
  isOverline(): number;
  isFgDefault(): boolean;
  isBgDefault(): boolean;
  getFgColorMode(): number;
  getBgColorMode(): number;
  getFgColor(): number;
  getBgColor(): number;
}

/** Of `getFgColorMode()`: the first sixteen colours by their own numbers, of which bold may be brighter. */
export const ColorMode = { sixteen: 0x1000000, palette: 0x2000000, rgb: 0x3000000 } as const;

export interface Cell extends Attributes {
  getWidth(): number;
  getChars(): string;
}

interface Line {
  getCell(x: number, cell?: Cell): Cell | undefined;
  translateToString(trimRight?: boolean, start?: number, end?: number): string;
}

export interface Buffer {
  readonly type: "normal" | "alternate";
  readonly cursorX: number;
  readonly cursorY: number;
  readonly baseY: number;
  getLine(y: number): Line | undefined;
  getNullCell(): Cell;
}

type Parameters = readonly (number | readonly number[])[];

export interface Terminal {
  readonly cols: number;
  readonly rows: number;
  readonly buffer: { readonly active: Buffer };
  readonly modes: {
    readonly applicationCursorKeysMode: boolean;
    readonly applicationKeypadMode: boolean;
    readonly bracketedPasteMode: boolean;
    readonly insertMode: boolean;
    readonly originMode: boolean;
    readonly sendFocusMode: boolean;
    readonly wraparoundMode: boolean;
  };
  readonly parser: {
    registerCsiHandler(
      id: { prefix?: string; intermediates?: string; final: string },
      handler: (parameters: Parameters) => boolean,
    ): unknown;
  };
  readonly unicode: { register(provider: unknown): void; activeVersion: string };
  readonly _core: {
    readonly _writeBuffer: { writeSync(data: Uint8Array): void };
    readonly _inputHandler: { readonly _curAttrData: Attributes };
    readonly buffer: { readonly scrollTop: number; readonly scrollBottom: number };
  };
  resize(cols: number, rows: number): void;
  onBell(listener: () => void): unknown;
  dispose(): void;
}

export function newTerminal(cols: number, rows: number): Terminal {
  const Terminal = headless.Terminal as unknown as new (options: unknown) => Terminal;
  const terminal = new Terminal({
    cols,
    rows,
    // tmux draws on the alternate screen, which has none.
    scrollback: 0,
    allowProposedApi: true,
    logLevel: "off",
  });
  terminal.unicode.register(tmuxWidths);
  terminal.unicode.activeVersion = tmuxWidths.version;
  return terminal;
}
