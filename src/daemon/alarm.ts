// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "../lib/clock.ts";

/** One appointment at a time: another takes the place of the one before. */
export class Alarm {
  readonly #clock: Clock;
  #timer: AbortController | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param at milliseconds since the epoch; at once where that is over */
  set(at: number, ring: () => void): void {
    this.#timer?.abort();
    const timer = this.#timer = new AbortController();
    this.#clock.sleep(Math.max(0, at - this.#clock.now()), timer.signal).then(ring, () => {});
  }

  cancel(): void {
    this.#timer?.abort();
  }
}
