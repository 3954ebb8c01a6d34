// SPDX-License-Identifier: Apache-2.0

/**
 * One watched terminal: a connection that is made again whenever it breaks, going on at the byte where it broke.
 * Everything that draws is handed over in order, each part when the one before it is drawn.
 */
import { api, sessionEnd } from "./api.ts";
import {
  type Control,
  decodeControl,
  decodeDown,
  type Down,
  encodeInput,
  PROTOCOL,
  type Watcher,
} from "./frames.ts";

export interface Presence {
  readonly watchers: readonly Watcher[];
  /** Who has the keyboard; null: nobody. */
  readonly writer: Watcher | null;
  /** Whether that is this page. */
  readonly mine: boolean;
}

export interface StreamEvents {
  /** Resolves when it is drawn. */
  draw(part: { readonly bytes: Uint8Array }): Promise<void>;
  /** A screen from nothing, or another size. */
  resize(cols: number, rows: number, fresh: boolean): void;
  presence(now: Presence): void;
  /** For the person; null: all is well. `lost` where something is missing on the screen. */
  state(text: string | null): void;
  bell(): void;
  /** The agent's terminal is over, or out of reach for good. */
  ended(reason: string): void;
}

const FIRST_PAUSE_MS = 400;
const LAST_PAUSE_MS = 5_000;
/** Acknowledged in steps of this many bytes. */
const ACK_BYTES = 32 * 1024;

export class Stream {
  readonly #principal: string;
  readonly #events: StreamEvents;
  #socket: WebSocket | null = null;
  #stream: string | null = null;
  /** Of the next byte. */
  #offset = 0;
  /** A screen of this stream was drawn: what comes after it is not enough without. */
  #hasScreen = false;
  #pause = FIRST_PAUSE_MS;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  /** What is to be drawn, in order. */
  #drawing: Promise<void> = Promise.resolve();
  #drawn = 0;
  #acknowledged = 0;
  #wanted: "readonly" | "readwrite" = "readonly";
  #taking = false;
  #me: string | null = null;
  #presence: Presence = { watchers: [], writer: null, mine: false };
  #size: { cols: number; rows: number } | null = null;

  constructor(principal: string, events: StreamEvents) {
    this.#principal = principal;
    this.#events = events;
    this.#connect();
    addEventListener("online", this.#now);
    document.addEventListener("visibilitychange", this.#now);
  }

  get presence(): Presence {
    return this.#presence;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    removeEventListener("online", this.#now);
    document.removeEventListener("visibilitychange", this.#now);
    this.#socket?.close();
  }

  type(text: string): void {
    if (this.#presence.mine) this.#send(encodeInput(text));
  }

  /** Of the window; the session takes the size of who types. */
  size(cols: number, rows: number): void {
    this.#size = { cols, rows };
    if (this.#presence.mine) this.#send(JSON.stringify({ type: "resize", cols, rows }));
  }

  /** The connection is made anew with the right to type, so that the audit says who had it, and when. */
  take(): void {
    this.#taking = true;
    this.#reconnectAs("readwrite");
  }

  release(): void {
    this.#send(JSON.stringify({ type: "release" }));
    this.#taking = false;
    this.#reconnectAs("readonly");
  }

  #reconnectAs(mode: "readonly" | "readwrite"): void {
    this.#wanted = mode;
    const old = this.#socket;
    this.#socket = null;
    old?.close();
    clearTimeout(this.#timer);
    this.#connect();
  }

  #send(data: string | Uint8Array<ArrayBuffer>): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(data);
  }

  readonly #now = () => {
    if (this.#socket !== null || this.#closed || document.hidden) return;
    clearTimeout(this.#timer);
    this.#connect();
  };

  #connect(): void {
    const query = new URLSearchParams({ mode: this.#wanted });
    if (this.#size !== null) {
      query.set("cols", String(this.#size.cols));
      query.set("rows", String(this.#size.rows));
    }
    if (this.#stream !== null && this.#hasScreen) {
      query.set("stream", this.#stream);
      query.set("offset", String(this.#offset));
    }
    const socket = new WebSocket(api.observeUrl(this.#principal, query), PROTOCOL);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    let over: string | null = null;
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      if (typeof data !== "string") {
        const frame = decodeDown(data);
        if (frame !== null) this.#take(frame, socket);
        return;
      }
      const control = decodeControl(data);
      if (control?.type === "exit") over = control.reason;
      else if (control !== null) this.#control(control);
    };
    socket.onclose = () => {
      if (socket !== this.#socket || this.#closed) return;
      this.#socket = null;
      this.#show({ ...this.#presence, mine: false });
      this.#events.state(over === null ? "connecting again…" : `${over}; looking for it again…`);
      // It may be that the session has ended.
      api.session().then((session) => session === null ? sessionEnd.act() : undefined, () => {});
      this.#timer = setTimeout(() => this.#connect(), this.#pause);
      this.#pause = Math.min(this.#pause * 2, LAST_PAUSE_MS);
    };
  }

  #control(control: Control): void {
    switch (control.type) {
      case "metadata":
        this.#pause = FIRST_PAUSE_MS;
        if (control.stream !== this.#stream) {
          this.#offset = control.offset;
          this.#hasScreen = false;
        }
        this.#stream = control.stream;
        this.#me = control.watcher;
        this.#drawn = this.#acknowledged = 0;
        this.#send(JSON.stringify({ type: "ack", bytes: 0 }));
        this.#queue(() => this.#events.resize(control.cols, control.rows, false));
        this.#events.state(null);
        this.#watchers(control.watchers, control.writer);
        this.#takeWhenAllowed(control.mode);
        return;
      case "size":
        this.#queue(() => this.#events.resize(control.cols, control.rows, false));
        return;
      case "watchers":
        this.#watchers(control.watchers, control.writer);
        return;
      case "mode":
        this.#watchers(this.#presence.watchers, control.writer);
        this.#events.state(this.#presence.mine ? null : control.reason);
        // Somebody else took it: it is theirs.
        if (control.writer !== null) this.#taking = false;
        this.#takeWhenAllowed(control.mode);
        return;
      case "gap":
        this.#events.state(
          control.lost_bytes === null
            ? `Something is missing here: ${control.reason}`
            : `${control.lost_bytes} bytes are missing here: ${control.reason}`,
        );
        return;
      case "bell":
        this.#events.bell();
        return;
      case "title":
      case "exit":
        return;
    }
  }

  /** A daemon that was just started may know only later what one may do, and says so then. */
  #takeWhenAllowed(mode: "readonly" | "readwrite"): void {
    if (!this.#taking) return;
    if (mode === "readwrite") this.#send(JSON.stringify({ type: "take" }));
    else this.#events.state("You may watch this agent, and not type.");
  }

  #watchers(watchers: readonly Watcher[], writer: string | null): void {
    const before = this.#presence.mine;
    const mine = writer !== null && writer === this.#me;
    if (mine) this.#taking = false;
    // What was lost with a connection is taken again with the next one.
    else if (before) this.#wanted = "readonly";
    this.#show({
      watchers: watchers.filter(({ id }) => id !== this.#me),
      writer: watchers.find(({ id }) => id === writer) ?? null,
      mine,
    });
    if (!mine || before) return;
    this.#events.state(null);
    if (this.#size !== null) this.size(this.#size.cols, this.#size.rows);
  }

  #show(presence: Presence): void {
    this.#presence = presence;
    this.#events.presence(presence);
  }

  #take(frame: Down, socket: WebSocket): void {
    if (frame.kind === "snapshot") {
      this.#offset = frame.offset;
      this.#hasScreen = true;
      this.#queue(() => this.#events.resize(frame.cols, frame.rows, true));
      return this.#draw(frame.bytes, frame.bytes.length, socket);
    }
    // What was sent twice is drawn once.
    const known = Math.max(0, Math.min(this.#offset - frame.offset, frame.bytes.length));
    this.#offset = Math.max(this.#offset, frame.offset + frame.bytes.length);
    this.#draw(frame.bytes.subarray(known), frame.bytes.length, socket);
  }

  #draw(bytes: Uint8Array, length: number, socket: WebSocket): void {
    this.#queue(async () => {
      if (bytes.length > 0) await this.#events.draw({ bytes });
      if (socket !== this.#socket) return;
      this.#drawn += length;
      if (this.#drawn - this.#acknowledged < ACK_BYTES && length >= ACK_BYTES) return;
      this.#acknowledged = this.#drawn;
      this.#send(JSON.stringify({ type: "ack", bytes: this.#drawn }));
    });
  }

  #queue(act: () => void | Promise<void>): void {
    this.#drawing = this.#drawing.then(() => this.#closed ? undefined : act()).catch((thrown) =>
      console.error(thrown)
    );
  }
}
