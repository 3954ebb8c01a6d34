// SPDX-License-Identifier: Apache-2.0

/** How fast the session is drawn: what is drawn of a flood is taken from the agent that makes it. */
import type { Clock } from "../lib/clock.ts";

/** At once: a few full screens, so that nothing but a flood is ever held back. */
const BURST_BYTES = 64 * 1024;
/** Afterwards, for one watcher. tmux skips frames for a client that is behind. */
const BYTES_PER_SECOND = 512 * 1024;
/**
 * For many, each of whom costs as much again, and for nobody but the recorder. Not less: what is on its way,
 * some 100 KB, must not come too late.
 */
const LEAST_PER_SECOND = 128 * 1024;

export class Pace {
  readonly #clock: Clock;
  readonly #over = new AbortController();
  #credit = BURST_BYTES;
  #at: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#at = clock.now();
  }

  /** Resolves when the next bytes may be read, with so many watchers. */
  async spend(bytes: number, watchers: number): Promise<void> {
    const rate = watchers === 0
      ? LEAST_PER_SECOND
      : Math.max(BYTES_PER_SECOND / watchers, LEAST_PER_SECOND);
    const now = this.#clock.now();
    const earned = Math.max(0, now - this.#at) * rate / 1000;
    this.#credit = Math.min(BURST_BYTES, this.#credit + earned) - bytes;
    this.#at = now;
    if (this.#credit >= 0 || this.#over.signal.aborted) return;
    await this.#clock.sleep(-this.#credit / rate * 1000, this.#over.signal).catch(() => {});
    this.#credit = 0;
    this.#at = this.#clock.now();
  }

  /** From now on nothing waits: there is no more of it than what is on its way. */
  end(): void {
    this.#over.abort();
  }
}
