// SPDX-License-Identifier: Apache-2.0

/**
 * One watcher: how far it is in the stream, and how fast it takes it. It costs the session nothing: what it
 * does not take in time it does not get; it gets a fresh screen.
 */
import type { ObserveDown, ObserveMode, ObserveWatcher } from "./api.ts";
import { FLOW_WINDOW_BYTES } from "./constants.ts";
import type { Attach, Size } from "./frames.ts";
import type { Ring } from "./ring.ts";
import { encodeFrame } from "./wire.ts";

/** Largest output frame. */
const FRAME_BYTES = 32 * 1024;
/** A watcher that fell behind gets its fresh screen when only so much is on its way. */
const LOW_BYTES = FLOW_WINDOW_BYTES / 4;
/** How often a connection is looked at that is full; a WebSocket has no event for it. */
const DRAIN_POLL_MS = 20;

/** What a watcher sees of the stream. */
export interface Stream {
  readonly ring: Ring;
  readonly size: Size;
  snapshot(): Uint8Array<ArrayBuffer>;
  dropped(bytes: number): void;
}

export class Watcher {
  readonly id: string;
  readonly who: string;
  readonly since: number;
  mode: ObserveMode;
  size: Size;
  readonly #socket: WebSocket;
  readonly #stream: Stream;
  /** Offset of the next byte to send. */
  #position = 0;
  /** Before this offset, what is sent is history, with its times. */
  #historyEnd = 0;
  /** The size that this one was told last. */
  #told: Size;
  /** Takes what was, at its own speed, before it takes part in what is. */
  #catchesUp = false;
  /** Sent nothing more until it has taken what is on its way. */
  #lags = false;
  #sent = 0;
  /** Null: this watcher does not acknowledge. */
  #acknowledged: number | null = null;
  #poll: ReturnType<typeof setTimeout> | null = null;
  readonly #gone = Promise.withResolvers<void>();
  /** Resolves when the connection is over: it has taken what it was sent. */
  readonly gone: Promise<void> = this.#gone.promise;

  constructor(socket: WebSocket, stream: Stream, attach: Attach, since: number) {
    this.#socket = socket;
    this.#stream = stream;
    this.id = attach.watcher ?? crypto.randomUUID();
    this.who = attach.who;
    this.mode = attach.mode;
    this.size = attach.size;
    this.since = since;
    this.#told = stream.size;
  }

  get view(): ObserveWatcher {
    return { id: this.id, who: this.who, mode: this.mode, since: this.since };
  }

  get #isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  /** Bytes that this one has not taken. */
  get #behind(): number {
    return Math.max(
      this.#socket.bufferedAmount,
      this.#acknowledged === null ? 0 : this.#sent - this.#acknowledged,
    );
  }

  send(frame: ObserveDown): void {
    if (this.#isOpen) this.#socket.send(JSON.stringify(frame));
  }

  /** What is nothing without the present: not for one who is behind. */
  notify(frame: ObserveDown): void {
    if (this.#behind <= FLOW_WINDOW_BYTES) this.send(frame);
  }

  /** The present screen, and what comes from now on. */
  begin(): void {
    this.#drawNow();
  }

  /** What comes from `offset` on, which the ring has. @param historyEnd before it, with times */
  beginAt(offset: number, historyEnd = 0): void {
    this.#position = offset;
    this.#historyEnd = historyEnd;
    this.#told = this.#stream.ring.sizeAt(offset);
    this.#catchesUp = true;
    this.pump();
  }

  /** A screen of the past, as of `offset`; `beginAt()` follows. */
  drawPast(offset: number, size: Size, bytes: Uint8Array<ArrayBuffer>): void {
    this.#draw(offset, size, bytes);
  }

  /** After each part of the stream, before the model has taken it. */
  pump(): void {
    const { ring } = this.#stream;
    while (this.#isOpen && !this.#lags) {
      this.#tellSize(ring.sizeAt(this.#position));
      if (this.#position === ring.end) {
        this.#catchesUp = false;
        return;
      }
      if (this.#behind > FLOW_WINDOW_BYTES) {
        if (!this.#catchesUp) this.#lags = true;
        break;
      }
      if (!ring.has(this.#position)) this.#lags = true;
      else this.#sendPiece();
    }
    this.#watchDrain();
  }

  #sendPiece(): void {
    const offset = this.#position;
    const isHistory = offset < this.#historyEnd;
    const limit = isHistory ? Math.min(FRAME_BYTES, this.#historyEnd - offset) : FRAME_BYTES;
    const { at, bytes } = this.#stream.ring.next(offset, limit, isHistory);
    this.#socket.send(
      encodeFrame(
        isHistory ? { kind: "history", offset, at, bytes } : { kind: "output", offset, bytes },
      ),
    );
    this.#sent += bytes.length;
    this.#position += bytes.length;
  }

  #tellSize(size: Size): void {
    if (size.cols === this.#told.cols && size.rows === this.#told.rows) return;
    this.#told = size;
    this.send({ type: "size", ...size });
  }

  /** When the model has taken all there is: who fell behind and can take something gets the screen. */
  settle(): void {
    if (!this.#isOpen) return;
    if (!this.#lags) return this.pump();
    if (this.#behind > LOW_BYTES) return this.#watchDrain();
    const lost = this.#stream.ring.end - this.#position;
    this.#stream.dropped(lost);
    this.gap(lost, "the watcher is slower than the session");
    this.#drawNow();
  }

  gap(lost: number | null, reason: string): void {
    this.send({ type: "gap", lost_bytes: lost, reason });
  }

  #drawNow(): void {
    this.#lags = false;
    this.#catchesUp = false;
    const { ring, size } = this.#stream;
    this.#tellSize(size);
    this.#draw(ring.end, size, this.#stream.snapshot());
  }

  #draw(offset: number, size: Size, bytes: Uint8Array<ArrayBuffer>): void {
    this.#position = offset;
    if (!this.#isOpen) return;
    this.#socket.send(encodeFrame({ kind: "snapshot", offset, ...size, bytes }));
    this.#sent += bytes.length;
  }

  acknowledge(bytes: number): void {
    this.#acknowledged = Math.min(this.#sent, Math.max(this.#acknowledged ?? 0, bytes));
    if (this.#lags || this.#catchesUp) this.settle();
  }

  /** An acknowledgement tells by itself; the connection's own buffer has to be looked at. */
  #watchDrain(): void {
    if (!this.#isOpen || this.#poll !== null || !(this.#lags || this.#catchesUp)) return;
    if (this.#acknowledged !== null && this.#socket.bufferedAmount <= LOW_BYTES) return;
    this.#poll = setTimeout(() => {
      this.#poll = null;
      this.settle();
    }, DRAIN_POLL_MS);
  }

  /** The last frame. */
  end(reason: string): void {
    this.send({ type: "exit", reason });
    this.close(1000, "");
  }

  close(code: number, reason: string): void {
    this.#rest();
    try {
      this.#socket.close(code, reason);
    } catch {
      // Closed already.
    }
  }

  left(): void {
    this.#rest();
    this.#gone.resolve();
  }

  /** No timer is left. */
  #rest(): void {
    if (this.#poll !== null) clearTimeout(this.#poll);
    this.#poll = null;
  }
}
