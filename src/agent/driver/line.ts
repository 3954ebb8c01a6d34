// SPDX-License-Identifier: Apache-2.0

/**
 * Any program that reads a line and answers in lines. What it writes is the answer; where an answer ends, nobody but
 * the program knows: it writes a line that says so, or is quiet for a while.
 */
import type { Driver } from "./driver.ts";
import { type Protocol, startProgram, type Told } from "./program.ts";

export interface LineOptions {
  /** A line that ends the answer and is no part of it. Absent: `quietMs` alone. */
  readonly end?: RegExp;
  /** An answer ends when nothing was written for so long, and something was; default 3 s, without `end`. */
  readonly quietMs?: number;
  /** What interrupts it, as a line; absent: nothing can. */
  readonly interrupt?: string;
}

export function lineDriver(how: LineOptions = {}): Driver {
  return {
    name: "line",
    start: (options) =>
      startProgram(
        { ...options, arguments: [] },
        (told) => new LineProtocol(told, how),
      ),
  };
}

export class LineProtocol implements Protocol {
  readonly #told: Told;
  readonly #how: LineOptions;
  #answer: string[] | null = null;
  #isInterrupted = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(told: Told, how: LineOptions) {
    this.#told = told;
    this.#how = how;
  }

  begin(): void {
    // It has no name for what it goes on with.
    this.#told.event({ type: "session", session_id: crypto.randomUUID() });
    this.#told.ready();
  }

  turn(text: string): void {
    this.#answer = [];
    this.#isInterrupted = false;
    // A message is one line to it.
    this.#told.write(text.replaceAll(/\s*[\r\n]+\s*/g, " "));
  }

  interrupt(): void {
    if (this.#how.interrupt === undefined) return;
    this.#isInterrupted = true;
    this.#told.write(this.#how.interrupt);
  }

  line(text: string): void {
    const answer = this.#answer;
    if (answer === null) return this.#told.event({ type: "output", text });
    if (this.#how.end?.test(text) === true) return this.#done(answer);
    answer.push(text);
    this.#told.event({ type: "text", text: `${text}\n`, partial: true });
    if (this.#how.end !== undefined && this.#how.quietMs === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#answer === answer) this.#done(answer);
    }, this.#how.quietMs ?? 3_000);
  }

  /** The program is gone: nothing ends by quiet any more. */
  stop(): void {
    clearTimeout(this.#timer);
  }

  #done(answer: readonly string[]): void {
    clearTimeout(this.#timer);
    this.#answer = null;
    const result = answer.join("\n");
    this.#told.event({ type: "text", text: result });
    const status = this.#isInterrupted ? "cancelled" : "completed";
    this.#told.end({ status, result, error: null });
  }
}
