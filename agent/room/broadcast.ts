// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "../../src/lib/clock.ts";

export interface BroadcastOptions<T> {
  readonly say: (value: T) => Promise<unknown>;
  /** Never twice within this time; what was newest meanwhile comes then. */
  readonly restMs: number;
  /** What others forget by themselves is said again after so long. */
  readonly againMs: number;
  readonly lasts: (value: T) => boolean;
  readonly clock: Clock;
}

/** Says how things are to whoever looks on. Nothing depends on it: a refusal ends it, any other failure is forgotten. */
export class Broadcast<T> {
  readonly #options: BroadcastOptions<T>;
  #value: T | undefined;
  #isRunning = false;
  #isOver = false;
  #changed = new AbortController();
  #saying: Promise<void> = Promise.resolve();

  constructor(options: BroadcastOptions<T>) {
    this.#options = options;
  }

  set(value: T): void {
    if (this.#isOver || JSON.stringify(value) === JSON.stringify(this.#value)) return;
    this.#value = value;
    this.#changed.abort();
    if (!this.#isRunning) void this.#run();
  }

  /** The last thing that is said. */
  async end(value: T): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#changed.abort();
    await this.#saying;
    await this.#options.say(value).catch(() => {});
  }

  async #run(): Promise<void> {
    const { restMs, againMs, lasts, clock } = this.#options;
    this.#isRunning = true;
    while (!this.#isOver) {
      const value = this.#value!;
      this.#changed = new AbortController();
      await (this.#saying = this.#say(value));
      if (this.#isOver) break;
      if (restMs > 0) await clock.sleep(restMs);
      if (this.#value !== value) continue;
      if (!lasts(value)) break;
      await clock.sleep(againMs - restMs, this.#changed.signal).catch(() => {});
    }
    this.#isRunning = false;
  }

  async #say(value: T): Promise<void> {
    try {
      await this.#options.say(value);
    } catch (thrown) {
      const { isPassing = true } = thrown as { isPassing?: boolean };
      if (!isPassing) this.#isOver = true;
    }
  }
}
