// SPDX-License-Identifier: Apache-2.0

/** How fast the session is drawn: what watchers take of a flood is taken from the agent that makes it. */
import type { Clock } from "../lib/clock.ts";

/** At once: a few full screens, so that nothing but a flood is ever held back. */
const BURST_BYTES = 64 * 1024;
/** Afterwards. tmux skips frames for a client that is behind. */
const BYTES_PER_MS = 512 * 1024 / 1000;

export class Pace {
  readonly #clock: Clock;
  #credit = BURST_BYTES;
  #at: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#at = clock.now();
  }

  /** Resolves when the next bytes may be read. */
  async spend(bytes: number): Promise<void> {
    const now = this.#clock.now();
    const earned = Math.max(0, now - this.#at) * BYTES_PER_MS;
    this.#credit = Math.min(BURST_BYTES, this.#credit + earned) - bytes;
    this.#at = now;
    if (this.#credit >= 0) return;
    await this.#clock.sleep(-this.#credit / BYTES_PER_MS);
    this.#credit = 0;
    this.#at = this.#clock.now();
  }
}
