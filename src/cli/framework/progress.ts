// SPDX-License-Identifier: Apache-2.0

/** What a person is waiting for, on the last line of their terminal, once it takes more than a second. */
import { clipText } from "../../lib/terminal/text.ts";
import { neutraliseLine } from "../../lib/terminal/neutralise.ts";
import { write } from "./say.ts";

const PATIENCE_MS = 1_000;
const FRAME_MS = 250;
const FRAMES = ["⠋", "⠙", "⠸", "⠴", "⠦", "⠇"];
const CLEAR = "\r\x1b[K";

export interface ProgressTerminal {
  readonly write: (text: string) => void;
  readonly columns: () => number;
  readonly now: () => number;
}

/** Is shown from the first second until it is disposed of. */
export class Progress {
  readonly #terminal: ProgressTerminal;
  readonly #since: number;
  readonly #timer: ReturnType<typeof setInterval>;
  #text: string;
  #frame = 0;
  #isShown = false;

  constructor(terminal: ProgressTerminal, text: string) {
    this.#terminal = terminal;
    this.#text = text;
    this.#since = terminal.now();
    this.#timer = setInterval(() => this.draw(), FRAME_MS);
  }

  /** What it is at now; its time goes on. */
  say(text: string): void {
    this.#text = text;
    if (this.#isShown) this.draw();
  }

  draw(): void {
    const elapsed = this.#terminal.now() - this.#since;
    if (elapsed < PATIENCE_MS) return;
    const frame = FRAMES[this.#frame++ % FRAMES.length];
    const line = `${frame} ${neutraliseLine(this.#text)} (${Math.floor(elapsed / 1000)} s)`;
    this.#terminal.write(CLEAR + clipText(line, this.#terminal.columns() - 1));
    this.#isShown = true;
  }

  /** Makes room for a line of output; it is drawn again below. */
  clear(): void {
    if (this.#isShown) this.#terminal.write(CLEAR);
    this.#isShown = false;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.clear();
  }
}

/** Of one command: what it waits for now, and room for what it prints meanwhile. */
export class Waiting {
  #progress: Progress | null = null;

  /** @returns undefined where nobody looks, or a program reads */
  start(text: string, isWanted: boolean): Progress | undefined {
    if (!isWanted || !Deno.stderr.isTerminal()) return undefined;
    this.#progress = new Progress({
      write: (line) => write(Deno.stderr, line),
      columns: () => Deno.consoleSize().columns,
      now: () => performance.now(),
    }, text);
    return this.#progress;
  }

  clear(): void {
    this.#progress?.clear();
  }
}
