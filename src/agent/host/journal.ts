// SPDX-License-Identifier: Apache-2.0

/** What the host holds, written whenever it changes: whoever kills the host leaves it, and it is told from it what ended. */
import { messageOf } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import type { WorkerView } from "./api.ts";

export class Journal {
  #last: readonly WorkerView[] | null = null;
  #writing: Promise<void> | null = null;

  constructor(private readonly path: string, private readonly log: Logger) {}

  /** Of several at once the last. */
  write(views: readonly WorkerView[]): void {
    this.#last = views;
    this.#writing ??= this.#run();
  }

  async end(): Promise<void> {
    await this.#writing;
  }

  async #run(): Promise<void> {
    while (this.#last !== null) {
      const text = JSON.stringify({ workers: this.#last });
      this.#last = null;
      try {
        await Deno.writeTextFile(`${this.path}.new`, text, { mode: 0o600 });
        await Deno.rename(`${this.path}.new`, this.path);
      } catch (thrown) {
        this.log.warn(`its journal could not be written: ${messageOf(thrown)}`);
      }
    }
    this.#writing = null;
  }
}
