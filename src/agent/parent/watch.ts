// SPDX-License-Identifier: Apache-2.0

/**
 * A parent's own watch over one run: what the worker promises to keep, it also sees kept, and it trusts nobody to
 * end who was told to.
 */
import { type Clock, systemClock } from "../../lib/clock.ts";
import type { Limits } from "../provision/spec.ts";

/** Where the spec sets none. */
const TOTAL_SECONDS = 3600;
/** Nothing was heard for so long. */
const SILENCE_SECONDS = 900;

export interface WatchOptions {
  readonly limits: Limits;
  readonly silenceSeconds?: number | undefined;
  readonly clock?: Clock | undefined;
}

export class Watch {
  /** Resolves with why, once; never when all goes well. */
  readonly expired: Promise<string>;
  readonly #expired = Promise.withResolvers<string>();
  readonly #options: WatchOptions;
  readonly #clock: Clock;
  readonly #over = new AbortController();
  #heard: number;
  #rounds = 0;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#heard = this.#clock.now();
    this.expired = this.#expired.promise;
    const total = options.limits.run_timeout_secs ?? TOTAL_SECONDS;
    void this.#total(total);
    void this.#silence(options.silenceSeconds ?? SILENCE_SECONDS);
  }

  /** Of each event. */
  hear(event: unknown): void {
    this.#heard = this.#clock.now();
    const { max_rounds } = this.#options.limits;
    // Each answer of a model says once what it took; those of its own workers are counted where they are made.
    const { type, by } = (event ?? {}) as { type?: unknown; by?: unknown };
    if (type !== "usage" || by !== undefined || max_rounds === undefined) return;
    if (++this.#rounds <= max_rounds) return;
    this.#expired.resolve(`it took more than the ${max_rounds} rounds of its max_rounds`);
  }

  end(): void {
    this.#over.abort();
  }

  async #total(seconds: number): Promise<void> {
    const ms = Math.min(seconds * 1000, 2 ** 31 - 1);
    await this.#clock.sleep(ms, this.#over.signal).then(
      () => this.#expired.resolve(`it took longer than ${seconds} s`),
      () => {},
    );
  }

  async #silence(seconds: number): Promise<void> {
    for (;;) {
      const left = this.#heard + seconds * 1000 - this.#clock.now();
      if (left <= 0) return this.#expired.resolve(`nothing was heard of it for ${seconds} s`);
      try {
        await this.#clock.sleep(Math.min(left, 2 ** 31 - 1), this.#over.signal);
      } catch {
        return;
      }
    }
  }
}
