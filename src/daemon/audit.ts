// SPDX-License-Identifier: Apache-2.0

/**
 * Who did what that needed authority: `<state>/daemon/audit.jsonl`, one JSON object a line. On this machine: it
 * goes on while the homeserver is away. What is sensitive is told in the config room too (`audit_room.ts`).
 */
import type { Clock } from "../lib/clock.ts";
import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";

export interface AuditEntry {
  readonly decision: "allow" | "deny" | "end" | "grant_created" | "grant_revoked";
  /** User id. */
  readonly actor: string;
  readonly action: string;
  /** User id. */
  readonly target?: string;
  readonly reason?: string;
  /** Sources of the rules that decided. */
  readonly rules?: readonly string[];
  readonly details?: Readonly<Record<string, string>>;
}

/** At once; what is left over is counted and told with the next entry. */
const BURST = 200;
const PER_SECOND = 5;
/** Then it becomes `audit.jsonl.1`, of which there is one. */
const MAX_BYTES = 8 * 1024 * 1024;
/** Of one text in an entry. */
const MAX_CHARS = 512;

/** Every text in it cut to a bearable length. */
export function shortened<T extends object>(value: T): T {
  return JSON.parse(JSON.stringify(
    value,
    (_, inner: unknown) => typeof inner === "string" ? inner.slice(0, MAX_CHARS) : inner,
  ));
}

/** So many at once, then so many a second. */
export class Bucket {
  readonly #clock: Clock;
  readonly #burst: number;
  readonly #perSecond: number;
  #left: number;
  #at: number;
  #suppressed = 0;

  constructor(clock: Clock, burst: number, perSecond: number) {
    this.#clock = clock;
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#left = burst;
    this.#at = clock.now();
  }

  /** @returns null when there is none left, else how many went without since the last one */
  take(): number | null {
    const now = this.#clock.now();
    const more = Math.max(0, now - this.#at) * this.#perSecond / 1000;
    this.#left = Math.min(this.#burst, this.#left + more);
    this.#at = now;
    if (this.#left < 1) {
      this.#suppressed++;
      return null;
    }
    this.#left--;
    const suppressed = this.#suppressed;
    this.#suppressed = 0;
    return suppressed;
  }
}

export class Audit {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #bucket: Bucket;
  readonly #also: ((entry: AuditEntry) => void) | undefined;
  #failing = false;
  #last: Promise<void> = Promise.resolve();

  constructor({ dir, clock, log, also }: {
    readonly dir: string;
    readonly clock: Clock;
    readonly log: Logger;
    /** Told of each entry, whether or not there is room for it in the file. */
    readonly also?: (entry: AuditEntry) => void;
  }) {
    this.#path = `${dir}/audit.jsonl`;
    this.#clock = clock;
    this.#log = log;
    this.#also = also;
    this.#bucket = new Bucket(clock, BURST, PER_SECOND);
  }

  record(entry: AuditEntry): void {
    this.#also?.(entry);
    const suppressed = this.#bucket.take();
    if (suppressed === null) return;
    const at = new Date(this.#clock.now()).toISOString();
    const more = suppressed === 0 ? {} : { suppressed };
    const line = JSON.stringify(shortened({ at, ...entry, ...more })) + "\n";
    this.#last = this.#last.then(() => this.#append(line));
  }

  /** Everything so far is written, or has failed. */
  async settled(): Promise<void> {
    await this.#last;
  }

  async #append(line: string): Promise<void> {
    try {
      const size = await Deno.stat(this.#path).then((info) => info.size, () => 0);
      if (size + line.length > MAX_BYTES) await Deno.rename(this.#path, `${this.#path}.1`);
      await Deno.writeTextFile(this.#path, line, { append: true, mode: 0o600 });
      this.#failing = false;
    } catch (thrown) {
      if (!this.#failing) this.#log.error("audit not written", { why: messageOf(thrown) });
      this.#failing = true;
    }
  }
}
