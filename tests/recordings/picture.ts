// SPDX-License-Identifier: Apache-2.0

/** The last screens of recordings as one SVG: the first on the left, the others below one another on the right. */
import { type Buffer, type Cell, ColorMode, newTerminal } from "../../src/lib/terminal/xterm.ts";
import type { Recording } from "./cast.ts";

const CELL = { width: 7.25, height: 15 };
const MARGIN = 10;
const TITLE = 20;
const INK = "#d7dae0";
const PAPER = "#16181d";
const SIXTEEN = [
  ...["#3b4048", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#abb2bf"],
  ...["#6b7280", "#f0848c", "#b1d694", "#f0d29b", "#82c2f7", "#d79be8", "#7bcdd6", "#ffffff"],
];

interface Panel {
  readonly width: number;
  readonly height: number;
  readonly body: string;
}

export function picture([first, ...others]: readonly Recording[]): string {
  const left = panel(first!);
  const right = others.map(panel);
  const edge = left.width + 2 * MARGIN;
  const width = edge + Math.max(...right.map((each) => each.width)) + MARGIN;
  const parts = [place(left, MARGIN, MARGIN)];
  let y = MARGIN;
  for (const each of right) {
    parts.push(place(each, edge, y));
    y += each.height + MARGIN;
  }
  const height = Math.max(left.height + 2 * MARGIN, y);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" ` +
    `font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace" font-size="12">\n` +
    `<rect width="100%" height="100%" fill="#0b0c0f"/>\n${parts.join("")}</svg>\n`;
}

function place({ body }: Panel, x: number, y: number): string {
  return `<g transform="translate(${x} ${y})">\n${body}</g>\n`;
}

function panel(recording: Recording): Panel {
  const { cols, title } = recording.header;
  const { lines, rows } = lastScreen(recording);
  const width = cols * CELL.width + 2 * MARGIN;
  const height = TITLE + rows * CELL.height + 2 * MARGIN;
  const name = title.split("/").at(-1)!;
  const body = `<rect width="${width}" height="${height}" rx="6" fill="${PAPER}"/>\n` +
    `<text x="${MARGIN}" y="16" fill="#7f8694">${escaped(name)}</text>\n` +
    `<g transform="translate(${MARGIN} ${TITLE + MARGIN})">\n${lines.join("")}</g>\n`;
  return { width, height, body };
}

function lastScreen({ header, events }: Recording): { lines: string[]; rows: number } {
  const terminal = newTerminal(header.cols, header.rows);
  const encoder = new TextEncoder();
  try {
    for (const { code, data } of events) {
      if (code === "o") terminal._core._writeBuffer.writeSync(encoder.encode(data));
    }
    const buffer = terminal.buffer.active;
    const lines = Array.from({ length: header.rows }, (_, y) => line(buffer, y, header.cols));
    const last = lines.findLastIndex((each) => each !== "");
    return { lines: lines.slice(0, last + 1), rows: last + 1 };
  } finally {
    terminal.dispose();
  }
}

/** A piece of text for each run of cells that look alike. */
function line(buffer: Buffer, y: number, cols: number): string {
  const cells = buffer.getLine(buffer.baseY + y);
  if (cells === undefined) return "";
  const cell = buffer.getNullCell();
  const runs: { x: number; look: string; text: string }[] = [];
  for (let x = 0; x < cols; x++) {
    if (cells.getCell(x, cell) === undefined || cell.getWidth() === 0) continue;
    const look = lookOf(cell);
    const text = cell.getChars() || " ";
    const last = runs.at(-1);
    if (last?.look === look && text.length === 1) last.text += text;
    else runs.push({ x, look, text });
  }
  const base = (y + 0.75) * CELL.height;
  return runs.filter(({ text }) => text.trim() !== "").map(({ x, look, text }) => {
    const indent = text.length - text.trimStart().length;
    const words = text.trim();
    return `<text x="${((x + indent) * CELL.width).toFixed(1)}" y="${base}" ` +
      `textLength="${(words.length * CELL.width).toFixed(1)}" xml:space="preserve"${look}>` +
      `${escaped(words)}</text>\n`;
  }).join("");
}

function lookOf(cell: Cell): string {
  const ink = cell.isFgDefault() ? INK : color(cell.getFgColorMode(), cell.getFgColor());
  const bold = cell.isBold() ? ' font-weight="bold"' : "";
  const dim = cell.isDim() ? ' opacity="0.6"' : "";
  return ` fill="${ink}"${bold}${dim}`;
}

function color(mode: number, value: number): string {
  if (mode === ColorMode.rgb) return `#${value.toString(16).padStart(6, "0")}`;
  if (value < 16) return SIXTEEN[value]!;
  if (value >= 232) return `rgb(${Array(3).fill(8 + 10 * (value - 232))})`;
  const level = (part: number) => part === 0 ? 0 : 55 + 40 * part;
  const at = value - 16;
  return `rgb(${[Math.floor(at / 36), Math.floor(at / 6) % 6, at % 6].map(level)})`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
