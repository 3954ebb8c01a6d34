// SPDX-License-Identifier: Apache-2.0

/** A terminal that shows and answers nothing by itself. */
import { Terminal } from "@xterm/xterm";

const FONT = 'ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace';
const LARGEST = 15;
const SMALLEST = 7;
/** Of who types: the session takes the size that fits. */
export const TYPING_FONT = 13;

const THEMES = {
  dark: {
    background: "#0b0f0d",
    foreground: "#dfe7e2",
    cursor: "#55c29f",
    cursorAccent: "#0b0f0d",
  },
  light: {
    background: "#fbfcfb",
    foreground: "#17201b",
    cursor: "#1f6f5c",
    cursorAccent: "#ffffff",
    selectionBackground: "#b8d8cc",
    black: "#17201b",
    red: "#b02a1a",
    green: "#1c6b3a",
    yellow: "#7a5600",
    blue: "#1d4f9e",
    magenta: "#7d2f86",
    cyan: "#0f6a73",
    white: "#6a756f",
    brightBlack: "#56645c",
    brightRed: "#c23b2a",
    brightGreen: "#23804a",
    brightYellow: "#8a6200",
    brightBlue: "#2a62bd",
    brightMagenta: "#943b9e",
    brightCyan: "#137e89",
    brightWhite: "#3b4640",
  },
} as const;

const light = matchMedia("(prefers-color-scheme: light)");

export interface Shown {
  readonly terminal: Terminal;
  /** Resolves when it is drawn. */
  write(bytes: Uint8Array | string): Promise<void>;
  /** As large as the whole screen allows; a screen that is larger yet is scrolled. */
  letterbox(): void;
  /** Columns and rows that fit at the size for typing. */
  room(): { cols: number; rows: number };
  close(): void;
}

export function showTerminal(place: HTMLElement): Shown {
  const terminal = new Terminal({
    fontFamily: FONT,
    fontSize: LARGEST,
    scrollback: 2000,
    theme: themeNow(),
    cursorInactiveStyle: "outline",
    minimumContrastRatio: light.matches ? 4.5 : 1,
    // Nothing that an agent writes is a link.
    linkHandler: { activate: () => {} },
  });
  silence(terminal);
  terminal.open(place);
  const onTheme = () => {
    terminal.options.theme = themeNow();
    terminal.options.minimumContrastRatio = light.matches ? 4.5 : 1;
  };
  light.addEventListener("change", onTheme);
  const cell = cellMeasure();
  const inner = () => ({ width: place.clientWidth - 14, height: place.clientHeight - 14 });
  const setFont = (size: number) => {
    if (terminal.options.fontSize !== size) terminal.options.fontSize = size;
  };
  return {
    terminal,
    write: (bytes) => new Promise((resolve) => terminal.write(bytes, resolve)),
    letterbox() {
      const { width, height } = inner();
      if (width <= 0 || height <= 0) return;
      const byWidth = width / (terminal.cols * cell.width);
      const byHeight = height / (terminal.rows * cell.height);
      // On a narrow window the lines are read whole; rows beyond it are scrolled to.
      const fits = width < 700 ? byWidth : Math.min(byWidth, byHeight);
      setFont(Math.max(SMALLEST, Math.min(LARGEST, Math.floor(fits * 2) / 2)));
    },
    room() {
      setFont(TYPING_FONT);
      const { width, height } = inner();
      return {
        cols: Math.max(20, Math.min(500, Math.floor(width / (cell.width * TYPING_FONT)))),
        rows: Math.max(5, Math.min(200, Math.floor(height / (cell.height * TYPING_FONT)))),
      };
    },
    close() {
      light.removeEventListener("change", onTheme);
      terminal.dispose();
    },
  };
}

function themeNow() {
  return light.matches ? THEMES.light : THEMES.dark;
}

/** A terminal that is looked at must never answer: what it said would be typed. The relay lets no question pass; nor do we. */
function silence({ parser }: Terminal): void {
  const no = () => true;
  for (const final of ["c", "n"]) {
    for (const prefix of [undefined, "?", ">", "="]) {
      parser.registerCsiHandler({ final, ...(prefix === undefined ? {} : { prefix }) }, no);
    }
  }
  for (const code of [4, 8, 10, 11, 12, 52]) parser.registerOscHandler(code, no);
  parser.registerDcsHandler({ intermediates: "$", final: "q" }, no);
  parser.registerCsiHandler({ intermediates: "$", final: "p" }, no);
  parser.registerCsiHandler({ prefix: "?", intermediates: "$", final: "p" }, no);
  parser.registerCsiHandler({ final: "t" }, no);
}

/** Of one character, for a font of one pixel. */
function cellMeasure(): { width: number; height: number } {
  const context = document.createElement("canvas").getContext("2d");
  if (context === null) return { width: 0.61, height: 1.2 };
  context.font = `100px ${FONT}`;
  const { width, fontBoundingBoxAscent: up, fontBoundingBoxDescent: down } = context.measureText(
    "W",
  );
  // xterm.js draws whole pixels: a little more than what was measured.
  return { width: width / 100 + 0.012, height: (up + down) / 100 + 0.04 };
}
