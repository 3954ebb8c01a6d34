// SPDX-License-Identifier: Apache-2.0

/** What every part of the homeserver is given: no globals. */
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { HomeserverBootstrap } from "./api.ts";
import type { Counters } from "./counters.ts";
import type { Ephemeral } from "./ephemeral.ts";
import type { Notifier } from "./notifier.ts";
import type { RateLimiter } from "./rate_limit.ts";
import type { Database } from "./store/database.ts";

export interface Context {
  readonly serverName: string;
  readonly config: HomeserverBootstrap;
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Logger;
  readonly notifier: Notifier;
  readonly ephemeral: Ephemeral;
  readonly limits: RateLimiter;
  readonly counters: Counters;
  /** Ms since the epoch. */
  readonly startedAt: number;
  readonly stopping: AbortSignal;
}

/** Who asks: the owner of the access token. */
export interface Session {
  readonly userId: string;
  readonly deviceId: string;
  readonly admin: boolean;
  readonly tokenHash: string;
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/** `length` characters with 5.9 bits of randomness each. */
export function randomText(length: number): string {
  let text = "";
  while (text.length < length) {
    for (const byte of crypto.getRandomValues(new Uint8Array(length * 2))) {
      // 248 = 4 × 62: the rest would make the first letters likelier.
      if (byte < 248 && text.length < length) text += ALPHABET[byte % 62];
    }
  }
  return text;
}
