// SPDX-License-Identifier: Apache-2.0

/** How fast watchers are drawn: what they take of a flood is taken from the agent that makes it. */
import type { Clock } from "../lib/clock.ts";

/** At once: a few full screens, so that nothing but a flood is ever held back. */
const BURST_BYTES = 64 * 1024;
/** Afterwards, all watchers together. tmux skips frames for a client that is behind. */
const BYTES_PER_SECOND = 512 * 1024;
/** And one of many at least: what is on its way to a watcher, some 100 KB, must not come too late. */
const LEAST_PER_SECOND = 64 * 1024;

/** One relay's watchers. */
export class Pace {
  readonly #clock: Clock;
  #members = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** One watcher's part; `leave()` when it ends. */
  join(): { spend(bytes: number): Promise<void>; leave(): void } {
    this.#members++;
    let credit = BURST_BYTES;
    let at = this.#clock.now();
    return {
      spend: async (bytes) => {
        const share = Math.max(BYTES_PER_SECOND / this.#members, LEAST_PER_SECOND) / 1000;
        const now = this.#clock.now();
        credit = Math.min(BURST_BYTES, credit + Math.max(0, now - at) * share) - bytes;
        at = now;
        if (credit >= 0) return;
        await this.#clock.sleep(-credit / share);
        credit = 0;
        at = this.#clock.now();
      },
      leave: () => void this.#members--,
    };
  }
}
