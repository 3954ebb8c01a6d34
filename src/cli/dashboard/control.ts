// SPDX-License-Identifier: Apache-2.0

/**
 * tmux's control mode (tmux(1), CONTROL MODE): a command a line, its answer between `%begin` and `%end` or `%error`, and
 * in between what happened. Spoken over two pipes, so this process needs no right to run tmux.
 */
import { BureauError } from "../../lib/errors.ts";
import { neutraliseLine } from "../../lib/terminal/mod.ts";

export class TmuxRefusal extends BureauError {
  override readonly name = "TmuxRefusal";
}

/** Blocks with this bit in their flags answer a command of ours. */
const OURS = 1;
const MAX_LINE = 1024 * 1024;

interface Waiting {
  readonly words: readonly string[];
  readonly resolve: (lines: string[]) => void;
  readonly reject: (error: Error) => void;
}

/** As one word for tmux, whatever is in it. @throws {TmuxRefusal} for a line break */
export function quote(word: string): string {
  // deno-lint-ignore no-control-regex -- what would end the command
  if (/[\x00-\x1f\x7f]/.test(word)) {
    throw new TmuxRefusal("bad-word", `Cannot tell tmux ${neutraliseLine(word)}`);
  }
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** In a word that tmux reads as a format: `#` begins one. */
export const literal = (text: string) => text.replaceAll("#", "##");

export class TmuxControl {
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #waiting: Waiting[] = [];
  readonly #onEvent: (name: string) => void;
  #block: { readonly ours: boolean; readonly lines: string[] } | null = null;
  #ended = false;
  /** Resolves when the server, or this client of it, is gone. */
  readonly ended: Promise<void>;

  /** @param onEvent told the name of each notification, `layout-change` for example */
  constructor(
    input: ReadableStream<Uint8Array<ArrayBuffer>>,
    output: WritableStream<Uint8Array<ArrayBuffer>>,
    onEvent: (name: string) => void,
  ) {
    this.#writer = output.getWriter();
    this.#onEvent = onEvent;
    this.ended = this.#read(input).catch(() => {}).finally(() => {
      this.#ended = true;
      for (const { reject } of this.#waiting.splice(0)) reject(gone());
    });
  }

  async #read(input: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    let rest = "";
    for await (const text of input.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      if (rest.length > MAX_LINE) throw gone();
      for (const line of lines) if (this.#line(line)) return;
    }
  }

  /** @returns whether it was the last one */
  #line(line: string): boolean {
    const [, word, rest] = /^%([a-z-]+)(?: (.*))?$/.exec(line) ?? [];
    if (this.#block !== null) {
      if (word !== "end" && word !== "error") this.#block.lines.push(line);
      else {
        const { ours, lines } = this.#block;
        this.#block = null;
        if (ours) this.#answer(word === "end", lines);
      }
      return false;
    }
    if (word === "begin") {
      const flags = Number(rest?.split(" ")[2] ?? 0);
      this.#block = { ours: (flags & OURS) !== 0, lines: [] };
    } else if (word === "exit") return true;
    else if (word !== undefined) this.#onEvent(word);
    return false;
  }

  #answer(good: boolean, lines: string[]): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) return;
    if (good) return waiting.resolve(lines);
    const why = neutraliseLine(lines.join(" "));
    waiting.reject(new TmuxRefusal("refused", `Cannot ${waiting.words[0]} in tmux: ${why}`));
  }

  /** @throws {TmuxRefusal} `refused`, `gone` */
  async run(...words: string[]): Promise<string[]> {
    if (this.#ended) throw gone();
    const line = new TextEncoder().encode(words.map(quote).join(" ") + "\n");
    const answer = new Promise<string[]>((resolve, reject) => {
      this.#waiting.push({ words, resolve, reject });
    });
    this.#writer.write(line).catch(() => {
      // Its end is told by reading.
    });
    return await answer;
  }
}

const gone = () => new TmuxRefusal("gone", "Cannot speak to tmux: it has ended");
