// SPDX-License-Identifier: Apache-2.0

/**
 * What happened on a terminal, as lines of text: whenever it rests, the lines that were not there when it
 * rested before. A model of the terminal reads the escape sequences; none is in what comes out.
 */
import * as headless from "@xterm/headless";
import { type CastEvent, parseSizeText } from "../../lib/recording/mod.ts";
import { neutraliseLine } from "../../lib/terminal/mod.ts";

/** Without output for so long, it rests. */
const REST_MS = 1_000;
/** A terminal that never rests is looked at anyway. */
const LOOK_MS = 5_000;
const SCROLLBACK = 20_000;
/** Output between two looks at a flood: fewer lines than are kept. */
const LOOK_CHARS = SCROLLBACK / 2;
/** Lines that are compared with those of before. */
const MAX_COMPARED = 400;

export interface TranscriptLine {
  /** As the events count. */
  readonly at: number;
  readonly text: string;
}

export class Transcript {
  readonly #terminal: headless.Terminal;
  readonly #emit: (line: TranscriptLine) => void;
  #before: string[] = [];
  #chars = 0;
  #restedAt = 0;
  #last = 0;
  #isBlank = true;

  constructor(
    { cols, rows }: { readonly cols: number; readonly rows: number },
    emit: (line: TranscriptLine) => void,
  ) {
    this.#terminal = new headless.Terminal({
      cols,
      rows,
      scrollback: SCROLLBACK,
      allowProposedApi: true,
      logLevel: "off",
    });
    this.#emit = emit;
  }

  async add({ at, code, data }: CastEvent): Promise<void> {
    if (at - this.#last >= REST_MS || at - this.#restedAt >= LOOK_MS) await this.rest(this.#last);
    this.#last = at;
    switch (code) {
      case "o":
        for (const piece of piecesOf(scrolling(data))) {
          await this.#write(piece);
          this.#chars += piece.length;
          if (this.#chars >= LOOK_CHARS) await this.rest(at);
        }
        return;
      case "r": {
        const size = parseSizeText(data);
        if (size === null) return;
        await this.rest(at);
        this.#terminal.resize(size.cols, size.rows);
        return;
      }
      case "m":
        await this.rest(at);
        return this.#line(at, `-- ${data}`);
      case "x":
        await this.rest(at);
        return this.#line(at, `-- exit status ${data}`);
    }
  }

  /** Nothing more comes for now. */
  async rest(at = this.#last): Promise<void> {
    this.#restedAt = at;
    if (this.#chars === 0) return;
    this.#chars = 0;
    const { active } = this.#terminal.buffer;
    const lines: string[] = [];
    for (let y = 0; y < active.length; y++) {
      lines.push(active.getLine(y)?.translateToString(true).trimEnd() ?? "");
    }
    while (lines.at(-1) === "") lines.pop();
    for (const line of newLines(this.#before, lines)) this.#line(at, line);
    this.#before = lines.slice(-this.#terminal.rows);
    // What scrolled away was told.
    await this.#write("\x1b[3J");
  }

  dispose(): void {
    this.#terminal.dispose();
  }

  /** Blank lines in a row are one. */
  #line(at: number, text: string): void {
    const isBlank = text === "";
    if (isBlank && this.#isBlank) return;
    this.#isBlank = isBlank;
    this.#emit({ at, text: neutraliseLine(text) });
  }

  #write(data: string): Promise<void> {
    return new Promise((resolve) => this.#terminal.write(data, resolve));
  }
}

// deno-lint-ignore no-control-regex -- escape sequences are what is meant
const SCREENS = /\x1b\[\?(?:47|1047|1048|1049)[hl]/g;
// deno-lint-ignore no-control-regex -- as above
const SCROLL_UP = /\x1b\[(\d{0,3})S/g;

/** So that lines leave the screen at its top and are not lost: one screen, and no scrolling but by line feeds. */
function scrolling(data: string): string {
  return data.replaceAll(SCREENS, "").replaceAll(
    SCROLL_UP,
    (_, count: string) => `\x1b7\x1b[999B${"\n".repeat(Number(count) || 1)}\x1b8`,
  );
}

function* piecesOf(data: string): Generator<string> {
  for (let at = 0; at < data.length; at += LOOK_CHARS) yield data.slice(at, at + LOOK_CHARS);
}

/** The lines of `after` that are no continuation of `before`: a longest common subsequence stays untold. */
export function newLines(before: readonly string[], after: readonly string[]): string[] {
  const old = before.slice(-MAX_COMPARED).filter((line) => line !== "");
  const compared = after.slice(0, MAX_COMPARED);
  const width = compared.length + 1;
  const longest = new Uint16Array((old.length + 1) * width);
  for (let i = old.length - 1; i >= 0; i--) {
    for (let j = compared.length - 1; j >= 0; j--) {
      longest[i * width + j] = old[i] === compared[j]
        ? longest[(i + 1) * width + j + 1]! + 1
        : Math.max(longest[(i + 1) * width + j]!, longest[i * width + j + 1]!);
    }
  }
  const told: string[] = [];
  let i = 0;
  for (const [j, line] of compared.entries()) {
    while (
      i < old.length && old[i] !== line &&
      longest[(i + 1) * width + j]! > longest[i * width + j + 1]!
    ) i++;
    if (i < old.length && old[i] === line) i++;
    else told.push(line);
  }
  return [...told, ...after.slice(MAX_COMPARED)];
}
