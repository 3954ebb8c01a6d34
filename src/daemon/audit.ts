// SPDX-License-Identifier: Apache-2.0

/**
 * Who did what that needed authority: `<state>/daemon/audit.jsonl`, one JSON object a line. On this machine and
 * not in the config room: it goes on while the homeserver is away, and nobody can fill a room with it.
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

export class Audit {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  #left = BURST;
  #at: number;
  #suppressed = 0;
  #failing = false;
  #last: Promise<void> = Promise.resolve();

  constructor({ dir, clock, log }: { dir: string; clock: Clock; log: Logger }) {
    this.#path = `${dir}/audit.jsonl`;
    this.#clock = clock;
    this.#log = log;
    this.#at = clock.now();
  }

  record(entry: AuditEntry): void {
    if (!this.#take()) {
      this.#suppressed++;
      return;
    }
    const at = new Date(this.#clock.now()).toISOString();
    const more = this.#suppressed === 0 ? {} : { suppressed: this.#suppressed };
    this.#suppressed = 0;
    const short = (_: string, value: unknown) =>
      typeof value === "string" ? value.slice(0, MAX_CHARS) : value;
    const line = JSON.stringify({ at, ...entry, ...more }, short) + "\n";
    this.#last = this.#last.then(() => this.#append(line));
  }

  /** Everything so far is written, or has failed. */
  async settled(): Promise<void> {
    await this.#last;
  }

  #take(): boolean {
    const now = this.#clock.now();
    const more = Math.max(0, now - this.#at) * PER_SECOND / 1000;
    this.#left = Math.min(BURST, this.#left + more);
    this.#at = now;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
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
