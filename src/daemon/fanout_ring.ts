// SPDX-License-Identifier: Apache-2.0

/** The last events, numbered, so that a reader who was away goes on where it was. */

/** What a reader may get. `gap`: events of the room are missing before this place. */
export interface RingEntry {
  readonly seq: number;
  readonly kind: "event" | "gap";
  readonly room: string;
  /** Of the event; empty for a gap. */
  readonly type: string;
  /** User id whose membership it is about, for `m.room.member`. */
  readonly member: string | null;
  /** Body of the server-sent event. */
  readonly json: string;
  /** Bytes of all entries up to this one since the ring began. */
  readonly end: number;
}

export interface RingLimits {
  readonly maxCount: number;
  readonly maxBytes: number;
}

export class Ring {
  readonly limits: RingLimits;
  readonly #entries = new Map<number, RingEntry>();
  #epoch = newEpoch();
  #first = 1;
  #last = 0;
  #begin = 0;
  #end = 0;

  constructor(limits: RingLimits) {
    this.limits = limits;
  }

  get epoch(): string {
    return this.#epoch;
  }
  /** The oldest that is still here; `last + 1` when it is empty. */
  get first(): number {
    return this.#first;
  }
  /** The newest ever pushed. */
  get last(): number {
    return this.#last;
  }

  get(seq: number): RingEntry | undefined {
    return this.#entries.get(seq);
  }

  push(entry: Omit<RingEntry, "seq" | "end">): number {
    this.#end += entry.json.length;
    const seq = ++this.#last;
    this.#entries.set(seq, { ...entry, seq, end: this.#end });
    while (
      this.#entries.size > this.limits.maxCount ||
      (this.#end - this.#begin > this.limits.maxBytes && this.#entries.size > 1)
    ) {
      this.#begin = this.#entries.get(this.#first)!.end;
      this.#entries.delete(this.#first++);
    }
    return seq;
  }

  /** Forgets everything, so that no position of before is taken for one of now. */
  restart(): void {
    this.#entries.clear();
    this.#epoch = newEpoch();
    this.#first = 1;
    this.#last = 0;
    this.#begin = this.#end = 0;
  }

  /** What a reader at `seq` has still to read, as a part of what the ring holds at most. */
  lag(seq: number): number {
    const at = this.#entries.get(seq)?.end ?? this.#begin;
    return Math.max(
      (this.#last - seq) / this.limits.maxCount,
      (this.#end - at) / this.limits.maxBytes,
    );
  }

  positionOf(seq: number): string {
    return `${this.#epoch}-${seq}`;
  }

  /** @returns the place after which to go on, or null when something is missing between it and now */
  resume(position: string): number | null {
    const match = /^([0-9a-f]{16})-(\d{1,15})$/.exec(position);
    if (match === null || match[1] !== this.#epoch) return null;
    const seq = Number(match[2]);
    return seq + 1 >= this.#first && seq <= this.#last ? seq : null;
  }
}

function newEpoch(): string {
  return crypto.getRandomValues(new Uint8Array(8)).toHex();
}
