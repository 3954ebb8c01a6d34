// SPDX-License-Identifier: Apache-2.0

/**
 * An agent's terminal as one stream that outlives its connection: after a break it goes on where it was, so
 * that whoever reads it gets each byte once, or is told that some are missing.
 */
import { type Clock, systemClock } from "../../lib/clock.ts";
import {
  type BinaryFrame,
  decodeFrame,
  encodeFrame,
  type ObserveDown,
  type ObserveMode,
} from "../../observe/api.ts";
import { readControl } from "./frames.ts";
import { Incoming } from "./incoming.ts";
import type { Size } from "./screen.ts";

/** Received bytes are acknowledged in steps of this many: a relay then skips what this side can't keep up with. */
const ACK_BYTES = 16 * 1024;
/** What a relay says that is told to end while its session goes on: another one follows. */
const RELAY_STOPS = "the relay stops";
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 3_000;

export type Control<T extends ObserveDown["type"]> = Extract<ObserveDown, { type: T }>;
export type Watchers = Control<"watchers">["watchers"];

/** What is shown of the stream, in its order. */
export interface Viewer {
  /** Also after each new connection. */
  metadata(frame: Control<"metadata">): void;
  /** The next bytes; `at` where they are of the past. */
  output(bytes: Uint8Array<ArrayBuffer>, at: number | null): void;
  /** The whole screen anew. */
  snapshot(size: Size, bytes: Uint8Array<ArrayBuffer>): void;
  size(size: Size): void;
  /** Bytes are missing here; null: nobody knows how many. */
  gap(lostBytes: number | null, reason: string): void;
  people(writer: string | null, watchers: Watchers): void;
  mode(mode: ObserveMode, writer: string | null, reason: string): void;
  bell(): void;
  title(text: string): void;
  screen(lines: readonly string[]): void;
  /** There is no connection now. */
  lost(reason: string): void;
}

export interface StreamOptions {
  readonly mode: ObserveMode;
  /** Of this terminal, at each connection. */
  readonly size: () => Size;
  /** Seconds of history to begin with. */
  readonly since?: number;
  /** Opens one connection. */
  readonly connect: (query: Record<string, string>) => Incoming | Promise<Incoming>;
  /**
   * Asked before each connection but the first: whether there is anything to connect to. Returns why it is over
   * for good, or null; throws where that can't be told now.
   */
  readonly over: () => Promise<string | null>;
  /** The agent's end is no end: it may begin again. */
  readonly wait?: boolean;
  readonly clock?: Clock;
  readonly signal: AbortSignal;
}

export class ObserveStream {
  readonly #options: StreamOptions;
  readonly #viewer: Viewer;
  readonly #clock: Clock;
  #socket: WebSocket | null = null;
  /** Of the relay's life that `#next` counts in. */
  #stream: string | null = null;
  /** Offset of the next byte that the viewer has not seen. */
  #next = 0;
  /** Something of that life was seen, which begins with a screen: what comes after is not enough without. */
  #hasBegun = false;
  /** Anything, of whichever life: what was before is not shown once more. */
  #hasSeen = false;
  /** Of this connection. */
  #received = 0;
  #acknowledged = 0;
  #gapTold = false;
  /** The relay is another one than before, and nobody has said yet that something is missing. */
  #anew = false;
  #exit: string | null = null;

  constructor(viewer: Viewer, options: StreamOptions) {
    this.#viewer = viewer;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Where the viewer is. */
  get position(): { readonly stream: string | null; readonly offset: number } {
    return { stream: this.#stream, offset: this.#next };
  }

  get connected(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** @returns false: there is no connection, and nothing was sent */
  send(frame: { readonly type: string; readonly [field: string]: unknown }): boolean {
    if (!this.connected) return false;
    this.#socket!.send(JSON.stringify(frame));
    return true;
  }

  /** Keystrokes. @returns as `send` */
  type(bytes: Uint8Array): boolean {
    if (!this.connected) return false;
    this.#socket!.send(encodeFrame({ kind: "input", bytes }));
    return true;
  }

  /**
   * Until it is over or `signal` aborts.
   * @param first a connection that stands
   * @returns why it is over; null: aborted
   */
  async run(first: Incoming): Promise<string | null> {
    const { signal, wait } = this.#options;
    let incoming: Incoming | null = first;
    let pause = FIRST_PAUSE_MS;
    while (!signal.aborted) {
      if (incoming !== null) {
        pause = FIRST_PAUSE_MS;
        await this.#follow(incoming);
        if (signal.aborted) break;
        const isEnd = this.#exit !== null && this.#exit !== RELAY_STOPS;
        if (isEnd && wait !== true) return this.#exit;
        this.#viewer.lost(this.#exit ?? "the connection broke");
        this.#exit = null;
      }
      await this.#clock.sleep(pause, signal).catch(() => {});
      pause = Math.min(LONGEST_PAUSE_MS, pause * 1.5);
      if (signal.aborted) break;
      const over = await this.#options.over().catch(() => undefined);
      if (signal.aborted) break;
      if (over === undefined) incoming = null;
      else if (over === null) incoming = await this.#open().catch(() => null);
      else if (wait === true) {
        this.#viewer.lost(over);
        incoming = null;
      } else return over;
    }
    return null;
  }

  /** What a connection is asked for. */
  query(): Record<string, string> {
    const { mode, since } = this.#options;
    const { cols, rows } = this.#options.size();
    return {
      mode,
      cols: String(cols),
      rows: String(rows),
      ...(this.#stream !== null && this.#hasBegun
        ? { stream: this.#stream, offset: String(this.#next) }
        : since === undefined || this.#hasSeen
        ? {}
        : { since: String(since) }),
    };
  }

  async #open(): Promise<Incoming | null> {
    const incoming = await this.#options.connect(this.query());
    return await incoming.opened ? incoming : null;
  }

  async #follow(incoming: Incoming): Promise<void> {
    const { socket } = incoming;
    this.#socket = socket;
    this.#received = 0;
    this.#acknowledged = 0;
    const stop = () => socket.close();
    this.#options.signal.addEventListener("abort", stop, { once: true });
    if (this.#options.signal.aborted) stop();
    incoming.receive(({ data }) => this.#receive(data));
    await incoming.ended;
    incoming.stop();
    this.#options.signal.removeEventListener("abort", stop);
    this.#socket = null;
  }

  #receive(data: unknown): void {
    if (data instanceof ArrayBuffer) {
      const frame = decodeFrame(data);
      if (frame !== null) this.#bytes(frame);
      return;
    }
    const frame = readControl(data);
    if (frame !== null) this.#control(frame);
  }

  #bytes(frame: BinaryFrame): void {
    if (frame.kind === "input") return;
    if (this.#anew) this.#viewer.gap(null, "the relay was started anew");
    this.#anew = false;
    this.#hasBegun = this.#hasSeen = true;
    this.#received += frame.bytes.length;
    if (frame.kind === "snapshot") {
      this.#next = frame.offset;
      this.#gapTold = false;
      this.#viewer.snapshot({ cols: frame.cols, rows: frame.rows }, frame.bytes);
    } else {
      // What was seen before the connection broke.
      const seen = Math.max(0, this.#next - frame.offset);
      if (frame.offset > this.#next) this.#missing(frame.offset - this.#next);
      if (seen < frame.bytes.length) {
        this.#next = frame.offset + frame.bytes.length;
        this.#viewer.output(
          seen === 0 ? frame.bytes : frame.bytes.subarray(seen),
          frame.kind === "history" ? frame.at : null,
        );
      }
    }
    if (this.#received - this.#acknowledged >= ACK_BYTES || frame.bytes.length < ACK_BYTES) {
      this.#acknowledged = this.#received;
      this.send({ type: "ack", bytes: this.#received });
    }
  }

  /** The relay says so itself; if it did not, it is said here. */
  #missing(bytes: number): void {
    if (!this.#gapTold) this.#viewer.gap(bytes, "output is missing");
    this.#gapTold = false;
  }

  #control(frame: ObserveDown): void {
    const viewer = this.#viewer;
    switch (frame.type) {
      case "metadata":
        return this.#begin(frame);
      case "size":
        return viewer.size(frame);
      case "mode":
        return viewer.mode(frame.mode, frame.writer, frame.reason);
      case "watchers":
        return viewer.people(frame.writer, frame.watchers);
      case "gap":
        this.#gapTold = true;
        this.#anew = false;
        return viewer.gap(frame.lost_bytes, frame.reason);
      case "bell":
        return viewer.bell();
      case "title":
        return viewer.title(frame.text);
      case "screen":
        return viewer.screen(frame.lines);
      case "exit":
        this.#exit = frame.reason;
    }
  }

  #begin(frame: Control<"metadata">): void {
    this.#gapTold = false;
    const isNew = this.#stream !== frame.stream;
    const before = this.#stream;
    if (isNew) {
      this.#stream = frame.stream;
      this.#next = frame.offset;
      this.#hasBegun = false;
      this.#anew = before !== null;
    }
    this.#viewer.metadata(frame);
    // From now on the relay holds back what this side has not taken.
    this.send({ type: "ack", bytes: 0 });
  }
}
