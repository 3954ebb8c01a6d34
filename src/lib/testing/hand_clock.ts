// SPDX-License-Identifier: Apache-2.0

/** Tests: time that stands still until a test lets it go on. */
import type { Clock } from "../clock.ts";

export class HandClock implements Clock {
  #now: number;
  readonly #asleep = new Set<{ readonly at: number; readonly wake: () => void }>();
  #sleeps = 0;

  constructor(now = 1_000_000) {
    this.#now = now;
  }

  /** How many sleeps were begun. */
  get sleeps(): number {
    return this.#sleeps;
  }

  /** How many sleep now. */
  get sleepers(): number {
    return this.#asleep.size;
  }

  now(): number {
    return this.#now;
  }

  /** Time goes on, and nobody wakes. */
  advance(ms: number): void {
    this.#now += ms;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    this.#sleeps++;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const sleeper = {
        at: this.#now + ms,
        wake: () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      const onAbort = () => {
        this.#asleep.delete(sleeper);
        reject(signal!.reason);
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#asleep.add(sleeper);
    });
  }

  /**
   * Whoever is due first wakes, `late` ms after their time: the host slept. Resolves when somebody sleeps again.
   * @throws Error when nobody sleeps
   */
  async next(late = 0): Promise<void> {
    const first = [...this.#asleep].sort((a, b) => a.at - b.at)[0];
    if (first === undefined) throw new Error("nobody sleeps");
    const sleeps = this.#sleeps;
    this.#asleep.delete(first);
    this.#now = Math.max(this.#now, first.at) + late;
    first.wake();
    while (this.#sleeps === sleeps) await new Promise((resolve) => setTimeout(resolve));
  }
}
