// SPDX-License-Identifier: Apache-2.0

/**
 * Byte fairness between principals whose gates share a thread: while more than one of them copies, each may
 * copy so much in a millisecond and no more, so that a small request of one waits for a few pieces of another,
 * not for the pieces of all its tunnels. Who copies alone is not held back.
 */
import type { Turn } from "../../lib/duplex.ts";

/** Of one principal in one turn: some tenths of a millisecond of copying, 256 MB/s. */
const BYTES_PER_TURN = 256 * 1024;
const TURN_MS = 1;
/** So long after another's last piece the thread counts as shared. */
const SHARED_MS = 100;

interface Share {
  left: number;
  /** Tunnels that have had their part, oldest first. */
  readonly waiting: (() => void)[];
}

export class Turns {
  readonly #bytes: number;
  readonly #schedule: (next: () => void) => void;
  readonly #shares = new Map<string, Share>();
  readonly #now: () => number;
  #isScheduled = false;
  #latest = "";
  #latestAt = -Infinity;
  #sharedUntil = 0;

  constructor(
    bytes = BYTES_PER_TURN,
    schedule: (next: () => void) => void = (next) => void setTimeout(next, TURN_MS),
    now: () => number = () => performance.now(),
  ) {
    this.#bytes = bytes;
    this.#schedule = schedule;
    this.#now = now;
  }

  of(principal: string): Turn {
    return (bytes) => {
      const now = this.#now();
      if (this.#latest !== principal) {
        if (now - this.#latestAt < SHARED_MS) this.#sharedUntil = now + SHARED_MS;
        this.#latest = principal;
      }
      this.#latestAt = now;
      if (now >= this.#sharedUntil) return;
      let share = this.#shares.get(principal);
      if (share === undefined) {
        share = { left: this.#bytes, waiting: [] };
        this.#shares.set(principal, share);
      }
      this.#next();
      share.left -= bytes;
      if (share.left > 0) return;
      const { waiting } = share;
      return new Promise((resolve) => waiting.push(resolve));
    };
  }

  #next(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#schedule(() => {
      this.#isScheduled = false;
      for (const [principal, share] of this.#shares) {
        if (share.waiting.length === 0) {
          this.#shares.delete(principal);
          continue;
        }
        share.left = this.#bytes;
        // As many as may copy a whole piece; each tells what it copied.
        for (const go of share.waiting.splice(0, Math.max(1, this.#bytes >> 16))) go();
        this.#next();
      }
    });
  }
}

/** Of all gates in this thread. */
export const turnsOfThread = new Turns();
