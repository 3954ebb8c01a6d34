// SPDX-License-Identifier: Apache-2.0

/** Questions about workers' tool calls on a person's terminal, one after the other. */
import type { ApproverQuestion } from "../../agent/parent/api.ts";
import { APPROVAL_TIMEOUT_MS } from "../../lib/approval/limits.ts";
import type { Answer } from "../../lib/approval/types.ts";
import { type Clock, systemClock } from "../../lib/clock.ts";
import { neutralise, neutraliseLine } from "../../lib/terminal/neutralise.ts";
import { columnsOf } from "../../lib/terminal/widths.ts";

/** Of an answer: nobody types more. */
const MAX_TYPED = 4096;
/** So that a terminal breaks no line, and what begins one is never the worker's. */
const MAX_COLUMNS = 72;

export interface TerminalOptions {
  readonly input: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly write: (text: string) => void;
  readonly clock?: Clock;
}

export class TerminalQuestions {
  readonly #options: TerminalOptions;
  readonly #clock: Clock;
  #turn: Promise<unknown> = Promise.resolve();
  /** Takes the next line; null: it was typed before anybody asked, and answers nothing. */
  #take: ((line: string | null) => void) | null = null;
  #isOpen = true;

  constructor(options: TerminalOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    void this.#read();
  }

  /** Never throws. @param signal nobody waits for the answer any more */
  ask(question: ApproverQuestion, signal: AbortSignal): Promise<Answer> {
    const until = this.#clock.now() + APPROVAL_TIMEOUT_MS;
    const asked = this.#turn.then(() => this.#one(question, until, signal));
    this.#turn = asked;
    return asked;
  }

  async #one(question: ApproverQuestion, until: number, signal: AbortSignal): Promise<Answer> {
    if (signal.aborted) return refused("it was cancelled");
    if (!this.#isOpen) return refused("the terminal was closed");
    const left = Math.max(0, until - this.#clock.now());
    this.#options.write(
      `${shown(question)}Allow this one call? [y/N, ${Math.ceil(left / 1000)} s] `,
    );
    const over = new AbortController();
    const unanswered = this.#clock.sleep(left, AbortSignal.any([signal, over.signal])).then(
      () => ({ why: "nobody answered in time" }),
      () => ({ why: "it was cancelled" }),
    );
    const typed = await Promise.race([this.#line(), unanswered]);
    over.abort();
    this.#take = null;
    if (typeof typed !== "string") {
      this.#options.write(`\nrefused: ${typed.why}\n`);
      return refused(typed.why);
    }
    const approved = /^\s*y(es)?\s*$/i.test(typed);
    this.#options.write(approved ? "allowed, this once\n" : "refused\n");
    return { approved, why: `the operator ${approved ? "approved" : "denied"} it` };
  }

  async #line(): Promise<string | { readonly why: string }> {
    const line = await new Promise<string | null>((resolve) => this.#take = resolve);
    return line ?? { why: "the terminal was closed" };
  }

  async #read(): Promise<void> {
    try {
      let typed = "";
      for await (const text of this.#options.input.pipeThrough(new TextDecoderStream())) {
        const lines = (typed + text).split("\n");
        typed = lines.pop()!.slice(-MAX_TYPED);
        for (const line of lines) {
          const take = this.#take;
          this.#take = null;
          take?.(line);
        }
      }
    } catch {
      // The terminal is gone: that is its end.
    }
    this.#isOpen = false;
    this.#take?.(null);
  }
}

const refused = (why: string): Answer => ({ approved: false, why });

/** Whatever a worker wrote stands behind a bar of ours, whole, and shows its control characters. */
function shown({ worker, tool, permission, resource, reason }: ApproverQuestion): string {
  return [
    `\n${neutraliseLine(worker)} asks whether it may call ${
      neutraliseLine(tool)
    } (${permission}):\n`,
    barred(resource),
    reason === undefined ? "" : `because, it says:\n${barred(reason)}`,
  ].join("");
}

function barred(text: string): string {
  const lines = neutralise(text).replaceAll("\t", "  ").split("\n");
  return lines.flatMap(wrapped).map((line) => `  | ${line}\n`).join("");
}

function wrapped(line: string): string[] {
  const parts = [""];
  let columns = 0;
  for (const character of line) {
    columns += columnsOf(character.codePointAt(0)!);
    if (columns > MAX_COLUMNS) {
      parts.push("");
      columns = columnsOf(character.codePointAt(0)!);
    }
    parts[parts.length - 1] += character;
  }
  return parts;
}
