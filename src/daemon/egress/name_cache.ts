// SPDX-License-Identifier: Apache-2.0

/**
 * Answers of DNS for as long as they say. Every connection checks the addresses anew, so a remembered answer
 * allows nothing that a fresh one would not.
 */
import { type Clock, systemClock } from "../../lib/clock.ts";
import type { Lookup, Resolve } from "./resolve.ts";

export interface NameCacheOptions {
  readonly lookup: Lookup;
  readonly clock?: Clock;
  /** Names that are remembered: 1024; the longest unused are forgotten. */
  readonly maxNames?: number;
}

/** A name without an address, or a resolver that fails, is asked again after this. */
const NEGATIVE_MS = 5_000;
/** A TTL of days would outlive a mended record by days. */
const MAX_TTL_MS = 3_600_000;

interface Known {
  readonly answer: Promise<readonly string[]>;
  /** Infinity while it is being asked. */
  until: number;
}

export class NameCache {
  readonly #options: NameCacheOptions;
  readonly #clock: Clock;
  /** In the order of use. */
  readonly #names = new Map<string, Known>();
  readonly counters = { hits: 0, misses: 0 };

  constructor(options: NameCacheOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  get size(): number {
    return this.#names.size;
  }

  /** Callers that ask at once share one question; each leaves when its own signal aborts. */
  readonly resolve: Resolve = async (host, signal) => {
    let known = this.#names.get(host);
    this.#names.delete(host);
    if (known === undefined || known.until <= this.#clock.now()) {
      this.counters.misses++;
      known = this.#ask(host);
    } else this.counters.hits++;
    this.#names.set(host, known);
    if (this.#names.size > (this.#options.maxNames ?? 1024)) {
      this.#names.delete(this.#names.keys().next().value!);
    }
    return [...await untilAborted(known.answer, signal)];
  };

  #ask(host: string): Known {
    const asked = this.#options.lookup(host);
    const known: Known = { answer: asked.then(({ addresses }) => addresses), until: Infinity };
    asked.then(({ ttlMs }) => {
      known.until = this.#clock.now() + Math.min(ttlMs, MAX_TTL_MS);
    }, () => {
      known.until = this.#clock.now() + NEGATIVE_MS;
    });
    return known;
  }
}

function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = () => reject(signal.reason);
    if (signal.aborted) leave();
    signal.addEventListener("abort", leave, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", leave));
  });
}
