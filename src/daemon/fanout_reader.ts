// SPDX-License-Identifier: Apache-2.0

/**
 * One reader of the fan-out: a server-sent event stream that takes from the ring what its reader may
 * see, when its reader has room for it. Nothing is queued for a reader but what it is being sent.
 */
import type { Clock } from "../lib/clock.ts";
import { BureauError } from "../lib/errors.ts";
import type { Members } from "./fanout_members.ts";
import type { Ring, RingEntry } from "./fanout_ring.ts";

export interface Subscription {
  readonly userId: string;
  /** Empty: every room that the reader is in. */
  readonly rooms: ReadonlySet<string>;
  /** Event types; a `*` at the end stands for any text. */
  readonly types: readonly string[];
  /** The reader's `Last-Event-ID`; null: from now on. */
  readonly position: string | null;
  /** Whether it may still follow at all: asked before each sending. */
  readonly mayFollow: () => boolean;
  /** Asks again whose request it was. @throws `DaemonError` */
  readonly verify: () => Promise<unknown>;
}

/** Why a stream was ended by the daemon. All but the last may be resumed. */
export type CutReason = "too-slow" | "stopping" | "unauthenticated" | "forbidden";

const HEARTBEAT_MS = 25_000;
/** How often it is asked again who reads. The answer is remembered for minutes elsewhere. */
const VERIFY_MS = 60_000;
/** Events are sent together up to this size. */
const CHUNK_CHARS = 32 * 1024;
/** And so much is waiting in the stream at most before a reader counts as busy. */
const WAITING_BYTES = 64 * 1024;
/** A reader that took nothing for so long, and lags half a ring behind, is cut off. */
const STALL_MS = 2_000;
const RELOAD_MS = 1_000;

export function matchesType(patterns: readonly string[], type: string): boolean {
  return patterns.some((pattern) =>
    pattern.endsWith("*") ? type.startsWith(pattern.slice(0, -1)) : type === pattern
  );
}

export class Reader {
  readonly subscription: Subscription;
  readonly stream: ReadableStream<Uint8Array>;
  /** Why the daemon ended it; null while it lives, and when the reader went away. */
  cutFor: CutReason | null = null;
  readonly #ring: Ring;
  readonly #members: Members;
  readonly #clock: Clock;
  readonly #onEnd: (reader: Reader) => void;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #ended = false;
  #epoch: string;
  #cursor: number;
  /** The position that the reader was told last. */
  #told: number;
  #verifiedAt: number;
  #tookAt: number;
  #wake: () => void = () => {};

  constructor(
    subscription: Subscription,
    ring: Ring,
    members: Members,
    clock: Clock,
    onEnd: (reader: Reader) => void,
  ) {
    this.subscription = subscription;
    this.#ring = ring;
    this.#members = members;
    this.#clock = clock;
    this.#onEnd = onEnd;
    this.#verifiedAt = this.#tookAt = clock.now();
    this.#epoch = ring.epoch;
    const { position } = subscription;
    const at = position === null ? null : ring.resume(position);
    this.#cursor = this.#told = at ?? ring.last;
    const first = position === null || at !== null
      ? this.#frame(this.#cursor, "open", "{}")
      : this.#reset("the position is too old");
    this.stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
          controller.enqueue(first);
        },
        pull: () => this.#pull(),
        cancel: () => this.#end(),
      },
      { highWaterMark: WAITING_BYTES, size: (chunk) => chunk?.byteLength ?? 0 },
    );
  }

  /** There is news in the ring. */
  wake(): void {
    if (this.#ended) return;
    if (this.#epoch === this.#ring.epoch) {
      const stalled = this.#clock.now() - this.#tookAt >= STALL_MS && this.#isBusy();
      const lost = this.#cursor + 1 < this.#ring.first;
      if (lost || (stalled && this.#ring.lag(this.#cursor) > 0.5)) return this.cut("too-slow");
    }
    this.#wake();
  }

  /** Ends the stream and says why. */
  cut(reason: CutReason): void {
    if (this.#ended) return;
    this.cutFor = reason;
    const seq = this.#epoch === this.#ring.epoch ? this.#told : null;
    this.#controller.enqueue(this.#frame(seq, "cut", JSON.stringify({ reason })));
    this.#controller.close();
    this.#end();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#wake();
    this.#onEnd(this);
  }

  #isBusy(): boolean {
    return (this.#controller.desiredSize ?? 0) <= 0;
  }

  /** Called when the reader has room; returns when it has been given something. */
  async #pull(): Promise<void> {
    this.#tookAt = this.#clock.now();
    while (!this.#ended) {
      if (!await this.#isVerified()) return this.cut("unauthenticated");
      if (this.#ended) return;
      // From here to the sending nothing waits: what is true here is true then.
      if (!this.subscription.mayFollow()) return this.cut("forbidden");
      if (this.#epoch !== this.#ring.epoch) {
        this.#epoch = this.#ring.epoch;
        this.#cursor = this.#told = this.#ring.first - 1;
        return this.#controller.enqueue(this.#reset("the stream began anew"));
      }
      if (this.#cursor + 1 < this.#ring.first) return this.cut("too-slow");
      const { text, unknown } = this.#collect();
      if (text !== "") {
        this.#told = this.#cursor;
        return this.#controller.enqueue(encoder.encode(text));
      }
      if (unknown !== null) await this.#load(unknown);
      else if (await this.#sleep(HEARTBEAT_MS)) {
        // Its position moves on, also past what was not for it.
        const frame = this.#frame(this.#told = this.#cursor, "position", "{}");
        return this.#controller.enqueue(frame);
      }
    }
  }

  /** Takes what is there, up to a room whose members are not known. Never waits. */
  #collect(): { text: string; unknown: string | null } {
    let text = "";
    while (this.#cursor < this.#ring.last && text.length < CHUNK_CHARS) {
      const entry = this.#ring.get(this.#cursor + 1)!;
      if (this.#isWanted(entry)) {
        const joined = this.#members.joined(entry.room);
        if (joined === null) return { text, unknown: entry.room };
        if (this.#maySee(entry, joined)) text += this.#text(entry.seq, entry.kind, entry.json);
      }
      this.#cursor++;
    }
    return { text, unknown: null };
  }

  #isWanted({ kind, room, type }: RingEntry): boolean {
    const { rooms, types } = this.subscription;
    return (rooms.size === 0 || rooms.has(room)) && (kind === "gap" || matchesType(types, type));
  }

  /** Members see what came after they joined, and everybody sees what becomes of their own membership. */
  #maySee({ seq, member }: RingEntry, joined: ReadonlyMap<string, number>): boolean {
    const { userId } = this.subscription;
    const since = joined.get(userId);
    return member === userId || (since !== undefined && seq >= since);
  }

  async #isVerified(): Promise<boolean> {
    if (this.#clock.now() - this.#verifiedAt < VERIFY_MS) return true;
    try {
      await this.subscription.verify();
      this.#verifiedAt = this.#clock.now();
      return true;
    } catch (thrown) {
      // A homeserver that is away says nothing about the reader.
      return !(thrown instanceof BureauError && thrown.code === "unauthenticated");
    }
  }

  /** While the homeserver doesn't say who is in a room, nobody sees anything of it. */
  async #load(room: string): Promise<void> {
    try {
      await this.#members.load(room);
    } catch {
      await this.#sleep(RELOAD_MS);
    }
  }

  /** @returns true when the time is over, false when something woke it */
  #sleep(ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(true), ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve(false);
      };
    });
  }

  #reset(reason: string): Uint8Array {
    return this.#frame(this.#cursor, "reset", JSON.stringify({ reason }));
  }

  #frame(seq: number | null, event: string, json: string): Uint8Array {
    return encoder.encode(this.#text(seq, event, json));
  }

  #text(seq: number | null, event: string, json: string): string {
    const id = seq === null ? "" : `id: ${this.#ring.positionOf(seq)}\n`;
    return `${id}event: ${event}\ndata: ${json}\n\n`;
  }
}

const encoder = new TextEncoder();
