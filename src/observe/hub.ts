// SPDX-License-Identifier: Apache-2.0

/** One stream for all who watch: numbered, kept for a while, with a model of the screen that it draws. */
import { messageOf } from "../lib/errors.ts";
import type { Measured } from "../lib/metrics/measure.ts";
import type { ObserveDown, ObserveMay, ObserveUp } from "./api.ts";
import { MAX_INPUT_FRAME } from "./constants.ts";
import { type Attach, parseUp, type Size } from "./frames.ts";
import { Keyboard } from "./keyboard.ts";
import { Model } from "./model.ts";
import { Ring } from "./ring.ts";
import type { MakeTap, ScreenView, StreamTap } from "./tap.ts";
import { type Stream, Watcher } from "./watcher.ts";
import { decodeFrame } from "./wire.ts";

/** Bells closer together are one. */
const BELL_MS = 200;
/** What taps may take for their last words, and watchers to take them. */
const END_MS = 5_000;

export interface HubOptions {
  readonly principal: string;
  readonly machine: string;
  readonly size: Size;
  /** The session's terminal. */
  readonly terminal: { write(bytes: Uint8Array): void; resize(size: Size): void };
  readonly taps?: readonly MakeTap[];
  readonly now: () => number;
}

export class Hub implements Stream {
  /** Of this life: what an offset counts in. */
  readonly id = crypto.randomUUID();
  readonly ring: Ring;
  readonly #options: HubOptions;
  readonly #model: Model;
  readonly #watchers = new Set<Watcher>();
  readonly #keyboard: Keyboard;
  readonly #taps: Set<StreamTap>;
  #title = { alternate: false, text: "" };
  #bellAt = 0;
  #dropped = 0;
  #ended: string | null = null;

  constructor(options: HubOptions) {
    this.#options = options;
    this.#model = new Model(options.size, () => this.#bell());
    this.ring = new Ring({
      snapshot: () => this.#model.snapshot(),
      size: options.size,
      at: options.now(),
    });
    this.#keyboard = new Keyboard({
      onChange: (what, { who }) => {
        this.#tellWatchers();
        this.#eachTap((tap) => tap.watched?.({ what, who }, options.now()));
      },
      onSize: (size) => this.#resize(size),
    });
    const screen = this.#screen();
    this.#taps = new Set((options.taps ?? []).map((make) => make(screen)));
    this.#eachTap((tap) => tap.resize(options.size, options.now()));
  }

  get size(): Size {
    return this.#model.size;
  }

  get watchers(): number {
    return this.#watchers.size;
  }

  snapshot(): Uint8Array<ArrayBuffer> {
    return this.#model.snapshot();
  }

  lines(): string[] {
    return this.#model.lines();
  }

  /** A watcher got a fresh screen in the place of so much. */
  dropped(bytes: number): void {
    this.#dropped += bytes;
  }

  get measured(): Measured {
    return {
      bureau_relay_watchers: this.watchers,
      bureau_relay_output_bytes_total: this.ring.end,
      bureau_relay_dropped_bytes_total: this.#dropped,
    };
  }

  #screen(): ScreenView {
    const [model, title] = [this.#model, () => this.#title];
    return {
      get size() {
        return model.size;
      },
      lines: () => model.lines(),
      cursor: () => model.cursor(),
      title: () => title().text,
      alternate: () => title().alternate,
      snapshot: () => model.snapshot(),
    };
  }

  /** @param bytes neutralised, whole characters; they are not copied */
  push(bytes: Uint8Array): void {
    const at = this.#options.now();
    const offset = this.ring.end;
    this.ring.append(bytes, at);
    // First of all to who waits for an echo.
    for (const watcher of this.#watchers) watcher.pump();
    this.#model.write(bytes);
    this.#eachTap((tap) => tap.output({ offset, at, bytes }));
    for (const watcher of this.#watchers) watcher.settle();
  }

  title(title: { readonly alternate: boolean; readonly text: string }): void {
    const isOther = title.text !== this.#title.text;
    this.#title = title;
    if (!isOther) return;
    this.#notify({ type: "title", text: title.text });
    this.#eachTap((tap) => tap.title?.(title.text, this.#options.now()));
  }

  #bell(): void {
    const at = this.#options.now();
    if (at - this.#bellAt < BELL_MS) return;
    this.#bellAt = at;
    this.#notify({ type: "bell" });
    this.#eachTap((tap) => tap.bell?.(at));
  }

  #resize(size: Size): void {
    const { cols, rows } = this.size;
    if (size.cols === cols && size.rows === rows) return;
    const at = this.#options.now();
    this.#model.resize(size);
    this.ring.resize(size, at);
    this.#eachTap((tap) => tap.resize(size, at));
    for (const watcher of this.#watchers) watcher.settle();
    // tmux then draws everything anew, for the new size.
    this.#options.terminal.resize(size);
  }

  /** @returns the watcher, to be told what it sends */
  join(socket: WebSocket, attach: Attach): Watcher {
    const at = this.#options.now();
    const watcher = new Watcher(socket, this, attach, at);
    this.#watchers.add(watcher);
    if (this.#ended !== null) {
      watcher.end(this.#ended);
      return watcher;
    }
    const { resume, since } = attach;
    const resumes = resume?.stream === this.id && this.ring.has(resume.offset);
    const past = !resumes && since !== null ? this.ring.at(at - since * 1000) : null;
    const offset = resumes ? resume.offset : past?.offset ?? this.ring.end;
    const { principal, machine } = this.#options;
    watcher.send({
      type: "metadata",
      version: 2,
      principal,
      machine,
      stream: this.id,
      offset,
      ...this.ring.sizeAt(offset),
      mode: watcher.mode,
      watcher: watcher.id,
      ...this.#present(),
    });
    if (this.#title.text !== "") watcher.send({ type: "title", text: this.#title.text });
    if (resume !== null && !resumes) this.#tellLost(watcher, resume);
    if (resumes) watcher.beginAt(offset);
    else if (past !== null) this.#showPast(watcher, past);
    else watcher.begin();
    this.#tellWatchers(watcher);
    this.#eachTap((tap) => tap.watched?.({ what: "came", who: watcher.who }, at));
    return watcher;
  }

  #tellLost(watcher: Watcher, { stream, offset }: { stream: string; offset: number }): void {
    const lost = stream === this.id && offset <= this.ring.end ? this.ring.end - offset : null;
    watcher.gap(
      lost,
      stream === this.id
        ? "what came meanwhile is not kept any more"
        : "the relay was started anew",
    );
  }

  #showPast(watcher: Watcher, past: ReturnType<Ring["at"]>): void {
    const model = new Model(past.size);
    try {
      model.write(past.snapshot);
      for (let at = past.start; at < past.offset;) {
        const { bytes } = this.ring.next(at, past.offset - at);
        model.write(bytes);
        at += bytes.length;
      }
      watcher.drawPast(past.offset, past.size, model.snapshot());
    } finally {
      model.dispose();
    }
    watcher.beginAt(past.offset, this.ring.end);
  }

  leave(watcher: Watcher): void {
    if (!this.#watchers.delete(watcher)) return;
    watcher.left();
    this.#keyboard.release(watcher);
    this.#tellWatchers();
    this.#eachTap((tap) => tap.watched?.({ what: "left", who: watcher.who }, this.#options.now()));
  }

  /** A frame of a watcher's. Whatever the daemon let through: who only watches types nothing. */
  receive(watcher: Watcher, data: unknown): void {
    if (this.#ended !== null) return;
    if (typeof data === "string") {
      const frame = parseUp(data);
      if (frame !== null) this.#control(watcher, frame);
    } else if (data instanceof ArrayBuffer) {
      if (data.byteLength > MAX_INPUT_FRAME) return watcher.close(1009, "too much input");
      const frame = decodeFrame(data);
      if (frame?.kind !== "input" || frame.bytes.length === 0) return;
      if (!this.#keyboard.mayType(watcher)) return;
      this.#options.terminal.write(frame.bytes);
      this.#eachTap((tap) => tap.typed?.(this.#options.now()));
    }
  }

  #control(watcher: Watcher, frame: ObserveUp | ObserveMay): void {
    switch (frame.type) {
      case "resize":
        watcher.size = { cols: frame.cols, rows: frame.rows };
        return this.#keyboard.resized(watcher);
      case "ack":
        return watcher.acknowledge(frame.bytes);
      case "screen":
        return watcher.send({ type: "screen", lines: this.lines() });
      case "take":
        return this.#keyboard.take(watcher);
      case "release":
        return this.#keyboard.release(watcher);
      case "may":
        return this.#may(watcher, frame.mode);
    }
  }

  #may(watcher: Watcher, mode: ObserveMay["mode"]): void {
    if (watcher.mode === mode) return;
    watcher.mode = mode;
    if (mode === "readonly") this.#keyboard.release(watcher);
    watcher.send({
      type: "mode",
      mode,
      writer: this.#keyboard.writer,
      reason: mode === "readonly" ? "you may not type here any more" : "you may type here",
    });
    this.#tellWatchers();
  }

  #present() {
    return {
      writer: this.#keyboard.writer,
      watchers: [...this.#watchers].map(({ view }) => view),
    };
  }

  #tellWatchers(except?: Watcher): void {
    if (this.#ended !== null) return;
    const frame: ObserveDown = { type: "watchers", ...this.#present() };
    for (const watcher of this.#watchers) if (watcher !== except) watcher.send(frame);
  }

  #notify(frame: ObserveDown): void {
    for (const watcher of this.#watchers) watcher.notify(frame);
  }

  /** One that fails is heard no more; nobody else suffers from it. */
  #eachTap(call: (tap: StreamTap) => void): void {
    for (const tap of this.#taps) {
      try {
        call(tap);
      } catch (thrown) {
        this.#taps.delete(tap);
        console.error(`a tap of the stream failed: ${messageOf(thrown)}`);
      }
    }
  }

  /** Resolves when everybody was told and the taps have finished. */
  async end(reason: string): Promise<void> {
    if (this.#ended !== null) return;
    this.#ended = reason;
    const endings: (Promise<void> | void)[] = [];
    for (const watcher of this.#watchers) {
      watcher.end(reason);
      endings.push(watcher.gone);
    }
    this.#eachTap((tap) => endings.push(tap.ended(reason, this.#options.now())));
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => timer = setTimeout(resolve, END_MS));
    await Promise.race([Promise.allSettled(endings), late]);
    clearTimeout(timer);
    this.#model.dispose();
  }
}
