// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "../../lib/clock.ts";

/** Time that stands until a test moves it. */
export class FakeClock implements Clock {
  #now: number;
  readonly #sleepers = new Set<{ readonly at: number; readonly wake: () => void }>();

  constructor(now = 1_000_000) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const sleeper = { at: this.#now + ms, wake: resolve };
      this.#sleepers.add(sleeper);
      signal?.addEventListener("abort", () => {
        this.#sleepers.delete(sleeper);
        reject(signal.reason);
      }, { once: true });
    });
  }

  /** Wakes whoever is due in order, and lets them act. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    while (true) {
      const [next] = [...this.#sleepers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#sleepers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.wake();
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    }
    this.#now = end;
  }
}
