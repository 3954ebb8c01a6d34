// SPDX-License-Identifier: Apache-2.0

/** How often one principal may ask people: names that nobody knows are cheap to make up. */
import type { Clock } from "../../lib/clock.ts";

const BURST = 32;
/** One more each 20 s. */
const REFILL_MS = 20_000;

export class RateOfAsks {
  readonly #clock: Clock;
  readonly #buckets = new Map<string, { left: number; at: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Counts one question in; false: not now. */
  take(principal: string): boolean {
    const now = this.#clock.now();
    const bucket = this.#buckets.get(principal) ?? { left: BURST, at: now };
    const more = Math.max(0, Math.floor((now - bucket.at) / REFILL_MS));
    bucket.left = Math.min(BURST, bucket.left + more);
    bucket.at = bucket.left === BURST ? now : bucket.at + more * REFILL_MS;
    this.#buckets.set(principal, bucket);
    if (bucket.left === 0) return false;
    bucket.left--;
    return true;
  }

  forget(principal: string): void {
    this.#buckets.delete(principal);
  }
}
