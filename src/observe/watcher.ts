// SPDX-License-Identifier: Apache-2.0

/** One watcher: its WebSocket on one side, its tmux client on the other. */
import { type Clock, systemClock } from "../lib/clock.ts";
import { messageOf } from "../lib/errors.ts";
import { TerminalFilter } from "../lib/terminal/filter.ts";
import type { ObserveDown } from "./api.ts";
import { FLOW_WINDOW_BYTES } from "./constants.ts";
import { parseUp } from "./frames.ts";
import { Pace } from "./pace.ts";
import type { Session } from "./session.ts";
import { Terminal, type TerminalOptions } from "./terminal.ts";

/** How often a full window is looked at; a WebSocket has no event for it. */
const DRAIN_POLL_MS = 10;
/** A watcher that takes nothing for this long is let go. */
const STALL_MS = 30_000;
/** What the program wrote at its end is on its way for so long. */
const LAST_WORDS_MS = 100;
/** Keystrokes and pastes on their way to tmux, bytes. */
const MAX_PENDING_INPUT = 1024 * 1024;
const MAX_INPUT_FRAME = 64 * 1024;

export interface WatcherOptions extends Omit<TerminalOptions, "session"> {
  readonly principal: string;
  readonly machine: string;
  /** Including this one. */
  readonly watchers: number;
  /** What the client of this watcher attaches to. */
  readonly session: Session;
  readonly sessionName: string;
  /** Resolves when the program in the session has ended. */
  readonly died: Promise<void>;
  /** Shared with the other watchers; absent: alone. */
  readonly pace?: Pace;
  readonly clock?: Clock;
}

/** @returns when the watcher has left or the session has ended; never throws */
export async function serveWatcher(socket: WebSocket, options: WatcherOptions): Promise<void> {
  await new Watcher(socket, options).run();
}

class Watcher {
  readonly #socket: WebSocket;
  readonly #options: WatcherOptions;
  readonly #clock: Clock;
  readonly #pace: ReturnType<Pace["join"]>;
  readonly #filter = new TerminalFilter();
  readonly #gone = Promise.withResolvers<void>();
  readonly #attached = Promise.withResolvers<Terminal>();
  #terminal: Terminal | null = null;
  #sent = 0;
  #drew = false;
  /** Null: this watcher does not acknowledge. */
  #acknowledged: number | null = null;
  #pendingInput = 0;
  #input: Promise<void> = Promise.resolve();
  #capturing = false;

  constructor(socket: WebSocket, options: WatcherOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#pace = (options.pace ?? new Pace(this.#clock)).join();
    socket.binaryType = "arraybuffer";
    // From the first moment: what is typed before the client is there waits for it.
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = () => this.#gone.resolve();
    socket.onerror = () => this.#gone.resolve();
  }

  async run(): Promise<void> {
    const left = this.#gone.promise.then(() => "the watcher left");
    const opened = new Promise<void>((resolve) => this.#socket.onopen = () => resolve());
    await Promise.race([opened, left]);
    const { session, mode, died } = this.#options;
    const over = died.then(() => this.#clock.sleep(LAST_WORDS_MS)).then(() => "the program ended");
    let reason: string;
    await session.enter(mode === "readwrite");
    try {
      reason = await Promise.race([this.#relay(), left, over]);
    } catch (thrown) {
      reason = messageOf(thrown);
    } finally {
      this.#pace.leave();
      await session.leave(mode === "readwrite");
      this.#terminal?.kill();
    }
    this.#send({ type: "exit", reason });
    try {
      this.#socket.close(1000);
    } catch {
      // Closed already.
    }
    await this.#gone.promise;
  }

  /** @returns why it ended */
  async #relay(): Promise<string> {
    if (this.#socket.readyState !== WebSocket.OPEN) return "the watcher left";
    const { principal, machine, mode, watchers } = this.#options;
    this.#send({ type: "metadata", principal, machine, mode, watchers });
    const { tmuxSocket, sessionName, size } = this.#options;
    const terminal = new Terminal({ tmuxSocket, session: sessionName, mode, size });
    this.#terminal = terminal;
    this.#attached.resolve(terminal);
    while (true) {
      const bytes = await terminal.read();
      if (bytes === null) break;
      const shown = this.#filter.push(bytes);
      if (shown.length > 0) {
        this.#socket.send(shown);
        this.#sent += shown.length;
        // A client that cannot attach says why in a line of plain text.
        this.#drew ||= shown.includes(0x1b);
      }
      await this.#pace.spend(bytes.length);
      if (!await this.#drained()) return "the watcher is too slow";
    }
    const status = await terminal.ended();
    return status === 0 || this.#drew ? "the session ended" : "the session cannot be attached";
  }

  /** Bytes that the watcher has not taken. While they are many, nothing is read: tmux skips ahead. */
  get #behind(): number {
    return Math.max(
      this.#socket.bufferedAmount,
      this.#acknowledged === null ? 0 : this.#sent - this.#acknowledged,
    );
  }

  async #drained(): Promise<boolean> {
    let best = this.#behind;
    let progressAt = this.#clock.now();
    while (this.#behind > FLOW_WINDOW_BYTES && this.#socket.readyState === WebSocket.OPEN) {
      await this.#clock.sleep(DRAIN_POLL_MS);
      const now = this.#clock.now();
      if (this.#behind < best) [best, progressAt] = [this.#behind, now];
      if (now - progressAt > STALL_MS) return false;
    }
    return true;
  }

  #receive(data: unknown): void {
    if (typeof data === "string") return this.#control(data);
    // Whatever the daemon let through: who only watches types nothing (and tmux is told so as well).
    if (this.#options.mode !== "readwrite" || !(data instanceof ArrayBuffer)) return;
    this.#pendingInput += data.byteLength;
    if (data.byteLength > MAX_INPUT_FRAME || this.#pendingInput > MAX_PENDING_INPUT) {
      return this.#socket.close(1009, "too much input");
    }
    const bytes = new Uint8Array(data);
    this.#input = this.#input.then(async () => (await this.#attached.promise).write(bytes)).then(
      () => void (this.#pendingInput -= bytes.length),
      // The client has ended; the read loop says so.
      () => {},
    );
  }

  #control(text: string): void {
    const frame = parseUp(text);
    switch (frame?.type) {
      case "resize":
        void this.#attached.promise.then((terminal) => terminal.resize(frame));
        return;
      case "ack":
        this.#acknowledged = Math.min(this.#sent, Math.max(this.#acknowledged ?? 0, frame.bytes));
        return;
      case "screen":
        void this.#sendScreen();
    }
  }

  async #sendScreen(): Promise<void> {
    // One at a time: each is a process.
    if (this.#capturing) return;
    this.#capturing = true;
    try {
      this.#send({ type: "screen", lines: await this.#options.session.capture() });
    } catch {
      // No session: the attached client ends too, and that says why.
    } finally {
      this.#capturing = false;
    }
  }

  #send(frame: ObserveDown): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }
}
