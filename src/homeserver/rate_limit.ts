// SPDX-License-Identifier: Apache-2.0

/** Token buckets per account or address. Generous: they stop loops and guessing, not work. */
import type { Clock } from "../lib/clock.ts";
import type { HomeserverBootstrap } from "./api.ts";
import { limitExceeded } from "./errors.ts";

interface Limit {
  readonly per_second: number;
  readonly burst: number;
}

const DEFAULTS: Readonly<Record<"login" | "register" | "write", Limit>> = {
  /** Per address and account: guessing a password. */
  login: { per_second: 2, burst: 60 },
  /** Per address. */
  register: { per_second: 20, burst: 500 },
  /** Per account: events, state, account data. */
  write: { per_second: 5_000, burst: 20_000 },
};

/** Forgotten beyond this many, oldest first: an attacker's addresses must not fill the memory. */
const MAX_BUCKETS = 10_000;

export class RateLimiter {
  readonly #limits: Record<"login" | "register" | "write", Limit>;
  readonly #clock: Clock;
  readonly #buckets = new Map<string, { tokens: number; at: number }>();

  constructor(clock: Clock, overrides: HomeserverBootstrap["rate_limits"]) {
    this.#clock = clock;
    this.#limits = {
      login: overrides?.login ?? DEFAULTS.login,
      register: overrides?.register ?? DEFAULTS.register,
      write: overrides?.write ?? DEFAULTS.write,
    };
  }

  /** @throws {MatrixError} M_LIMIT_EXCEEDED with `retry_after_ms` */
  take(kind: "login" | "register" | "write", who: string): void {
    const limit = this.#limits[kind];
    const key = `${kind} ${who}`;
    const now = this.#clock.now();
    const old = this.#buckets.get(key);
    const tokens = old === undefined
      ? limit.burst
      : Math.min(limit.burst, old.tokens + (now - old.at) / 1000 * limit.per_second);
    if (tokens < 1) {
      throw limitExceeded(Math.ceil((1 - tokens) / Math.max(limit.per_second, 0.001) * 1000));
    }
    if (old !== undefined) {
      old.tokens = tokens - 1;
      old.at = now;
      return;
    }
    if (this.#buckets.size >= MAX_BUCKETS) {
      this.#buckets.delete(this.#buckets.keys().next().value!);
    }
    this.#buckets.set(key, { tokens: tokens - 1, at: now });
  }
}
