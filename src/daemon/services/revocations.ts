// SPDX-License-Identifier: Apache-2.0

/** Tokens that ended before their time. Kept as long as one of them could still be shown. */
import { type Revocation, TOKEN_LIFE_MS } from "../../lib/token/mod.ts";

const KEPT_MS = TOKEN_LIFE_MS + 60_000;

export class Revocations {
  #entries: Revocation[] = [];

  /** From here on what this subject was given counts no more. */
  add(subject: string, now: number): void {
    this.#entries = this.#entries.filter((entry) => entry.subject !== subject);
    this.#entries.push({ subject, until: now });
  }

  /** What an earlier life published. */
  restore(entries: readonly Revocation[]): void {
    for (const { subject, until } of entries) {
      const mine = this.#entries.find((entry) => entry.subject === subject);
      if (mine === undefined) this.#entries.push({ subject, until });
      else if (mine.until < until) mine.until = until;
    }
  }

  /** Those that matter now. */
  at(now: number): readonly Revocation[] {
    this.#entries = this.#entries.filter(({ until }) => until + KEPT_MS > now);
    return this.#entries;
  }

  /** When the next can be forgotten. */
  get changesAt(): number {
    return Math.min(Infinity, ...this.#entries.map(({ until }) => until + KEPT_MS));
  }
}
