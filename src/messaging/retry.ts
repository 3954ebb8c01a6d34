// SPDX-License-Identifier: Apache-2.0

/** Doing something again until it succeeds, spread in time. For what may be repeated only. */
import { type Clock, systemClock } from "../lib/clock.ts";
import { MessagingError } from "./errors.ts";

const BACKOFF_FIRST_MS = 1_000;
const BACKOFF_MAX_MS = 30_000;
/** Even by chance not at once: a homeserver that starts needs this long at least. */
const BACKOFF_LEAST_MS = 100;

/**
 * Full jitter: a random part of 1 s doubling to 30 s, so that a fleet whose homeserver comes back does
 * not come back to it at one time.
 * @param failures in a row, from 1
 */
export function backoffMs(failures: number, random: () => number): number {
  const full = Math.min(BACKOFF_FIRST_MS * 2 ** Math.max(0, failures - 1), BACKOFF_MAX_MS);
  return Math.max(BACKOFF_LEAST_MS, Math.round(full * (1 - random())));
}

/** How long to wait after this failure: as the homeserver asks, if it asks for more. */
export function waitMs(thrown: unknown, failures: number, random: () => number): number {
  const asked = thrown instanceof MessagingError ? thrown.retryAfterMs ?? 0 : 0;
  return Math.max(asked, backoffMs(failures, random));
}

export interface RetryOptions {
  readonly signal: AbortSignal;
  readonly clock?: Clock;
  readonly random?: () => number;
  /** Told of each failure that is tried again. */
  readonly onFailure?: (error: MessagingError, failures: number) => void;
}

/**
 * Repeats `attempt` for as long as it fails in passing (429, 5xx, nobody there, half an answer).
 * @throws its first failure that no waiting mends; the signal's reason, at any moment
 */
export async function retry<T>(attempt: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { signal, clock = systemClock, random = Math.random } = options;
  for (let failures = 1;; failures++) {
    signal.throwIfAborted();
    try {
      return await attempt();
    } catch (thrown) {
      if (!(thrown instanceof MessagingError) || !thrown.isPassing) throw thrown;
      options.onFailure?.(thrown, failures);
      await clock.sleep(waitMs(thrown, failures, random), signal);
    }
  }
}
