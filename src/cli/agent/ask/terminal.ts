// SPDX-License-Identifier: Apache-2.0

/** Questions on a terminal. On stderr, for what is answered in the end is printed for a program. */
import { neutraliseLine } from "../../../lib/terminal/mod.ts";
import { askUnseen } from "../../credential/input.ts";
import { CliError } from "../../framework/exit.ts";

const decoder = new TextDecoder();
const cancelled = () => new CliError("cancelled", "Cancelled: nothing was changed");

export class Questions {
  #rest = "";

  constructor(readonly signal: AbortSignal) {}

  say(line: string): void {
    write(`${line}\n`);
  }

  /**
   * @param check what is wrong with an answer, or null
   * @returns what was typed, or `usual` for an empty line
   * @throws {CliError} `cancelled` by ctrl-C and ctrl-D
   */
  async line(
    question: string,
    usual: string,
    check: (answer: string) => string | null | Promise<string | null> = () => null,
  ): Promise<string> {
    while (true) {
      write(usual === "" ? `${question}: ` : `${question} [${usual}]: `);
      const answer = (await this.#read()).trim() || usual;
      const wrong = await check(answer);
      if (wrong === null) return answer;
      this.say(`  ${wrong}`);
    }
  }

  /** One of a list, by its number or its name. */
  async choose(
    question: string,
    offered: readonly { readonly name: string; readonly brief: string }[],
    usual: string,
  ): Promise<string> {
    const width = Math.max(...offered.map(({ name }) => name.length));
    for (const [at, { name, brief }] of offered.entries()) {
      this.say(`  ${String(at + 1).padStart(2)}  ${name.padEnd(width)}  ${neutraliseLine(brief)}`);
    }
    const named = (answer: string) => offered[Number(answer) - 1]?.name ?? answer;
    const answer = await this.line(
      question,
      usual,
      (text) => offered.some(({ name }) => name === named(text)) ? null : "give one of the list",
    );
    return named(answer);
  }

  /** Not shown while it is typed. */
  async secret(question: string): Promise<string> {
    while (true) {
      const answer = (await askUnseen(question)).trim();
      if (answer !== "") return answer;
      this.say("  it is needed; ctrl-C leaves");
    }
  }

  async #read(): Promise<string> {
    const stopped = Promise.withResolvers<never>();
    const stop = () => stopped.reject(cancelled());
    if (this.signal.aborted) stop();
    this.signal.addEventListener("abort", stop);
    stopped.promise.catch(() => {});
    try {
      while (!this.#rest.includes("\n")) {
        const buffer = new Uint8Array(4096);
        const count = await Promise.race([Deno.stdin.read(buffer), stopped.promise]);
        if (count === null) throw cancelled();
        this.#rest += decoder.decode(buffer.subarray(0, count), { stream: true });
      }
    } finally {
      this.signal.removeEventListener("abort", stop);
    }
    const end = this.#rest.indexOf("\n");
    const line = this.#rest.slice(0, end);
    this.#rest = this.#rest.slice(end + 1);
    return line;
  }
}

function write(text: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(text));
}
