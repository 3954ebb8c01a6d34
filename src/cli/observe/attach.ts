// SPDX-License-Identifier: Apache-2.0

/** This terminal as a window on another: raw while it lasts, and put back on every way out. */
import { systemClock } from "../../lib/clock.ts";
import { neutraliseLine, RESET_TERMINAL } from "../../lib/terminal/mod.ts";
import type { ObserveMode } from "../../observe/api.ts";
import type { Incoming } from "./incoming.ts";
import { type Action, Keys } from "./keys.ts";
import { Replay } from "./replay.ts";
import { Screen, type Size } from "./screen.ts";
import { keyboardOf, statusLine } from "./status_line.ts";
import {
  type Control,
  ObserveStream,
  type StreamOptions,
  type Viewer,
  type Watchers,
} from "./stream.ts";

/** How long the status line says what happened, if no key is pressed before. */
const NOTE_MS = 30_000;
/** A terminal that is stopped does not keep us from leaving. */
const LAST_WRITE_MS = 1_000;
/** Below so few rows all of them are the agent's. */
const MIN_ROWS_WITH_STATUS = 3;
const HELP = "ctrl-] and then: d leave, t take the keyboard, r give it back, arrows look around, " +
  "ctrl-] type ctrl-]";

export interface Attachment extends Omit<StreamOptions, "size" | "signal"> {
  /** `agent/scribe`. */
  readonly name: string;
  readonly first: (query: Record<string, string>) => Promise<Incoming>;
  /** Aborted on SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
}

/** @returns why it ended */
export async function attachTerminal(attachment: Attachment): Promise<string> {
  const view = new TerminalView(attachment);
  return await view.run();
}

class TerminalView implements Viewer {
  readonly #attachment: Attachment;
  readonly #stream: ObserveStream;
  readonly #stop = new AbortController();
  readonly #keys: Keys;
  readonly #replay: Replay | null;
  #screen = new Screen({ cols: 80, rows: 24 });
  #mode: ObserveMode;
  #self: string | null = null;
  #writer: string | null = null;
  #watchers: Watchers = [];
  #title = "";
  #shownTitle = "";
  #note: string | null = "connecting";
  #noteTimer: ReturnType<typeof setTimeout> | undefined;
  #reason: string | null = null;
  #bell = false;
  #drawing = false;
  #dirty = false;
  /** Resolves when all that was to be drawn has been written. */
  #written: Promise<void> = Promise.resolve();
  #leaving = false;
  #closed = false;

  constructor(attachment: Attachment) {
    this.#attachment = attachment;
    this.#mode = attachment.mode;
    this.#stream = new ObserveStream(this, {
      ...attachment,
      size: () => this.#view(),
      signal: AbortSignal.any([attachment.signal, this.#stop.signal]),
    });
    this.#keys = new Keys({
      type: (bytes) => this.#type(bytes),
      act: (action) => this.#act(action),
      place: (x, y) => this.#screen.place(x, y, this.#view()),
    });
    this.#replay = attachment.since === undefined ? null : new Replay(() => this.#changed());
  }

  async run(): Promise<string> {
    const hangUp = () => this.#end("this terminal closed");
    const resized = () => {
      this.#screen.forget();
      const { cols, rows } = this.#view();
      this.#stream.send({ type: "resize", cols, rows });
      this.#changed();
    };
    const restore = () => this.#restore();
    const first = await this.#attachment.first(this.#stream.query());
    // However this process ends: by a signal, by Deno.exit, by an error that nobody caught.
    globalThis.addEventListener("unload", restore);
    globalThis.addEventListener("error", restore);
    globalThis.addEventListener("unhandledrejection", restore);
    Deno.addSignalListener("SIGHUP", hangUp);
    Deno.addSignalListener("SIGWINCH", resized);
    Deno.stdin.setRaw(true);
    writeAll(encode("\x1b[22;2t\x1b[?1049h\x1b[?7l\x1b[2J"));
    try {
      this.#forwardKeys().catch(() => this.#end("this terminal closed"));
      this.#changed();
      const over = await this.#stream.run(first);
      return this.#reason ?? (over === null ? "interrupted" : neutraliseLine(over));
    } finally {
      Deno.removeSignalListener("SIGWINCH", resized);
      Deno.removeSignalListener("SIGHUP", hangUp);
      clearTimeout(this.#noteTimer);
      this.#replay?.stop();
      // What is being written now would come behind what puts the terminal back.
      this.#leaving = true;
      await Promise.race([this.#written, systemClock.sleep(LAST_WRITE_MS)]);
      this.#restore();
      globalThis.removeEventListener("unload", restore);
      globalThis.removeEventListener("error", restore);
      globalThis.removeEventListener("unhandledrejection", restore);
    }
  }

  #restore(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      Deno.stdin.setRaw(false);
      writeAll(encode(`\x1b[0 q${RESET_TERMINAL}\x1b[23;2t\r`));
    } catch {
      // Nothing to put back: the terminal is gone.
    }
  }

  #end(reason: string): void {
    this.#reason ??= reason;
    this.#stop.abort();
  }

  /** This terminal's part that shows the agent's. */
  #view(): Size {
    const { cols, rows } = this.#own();
    return { cols, rows: rows < MIN_ROWS_WITH_STATUS ? rows : rows - 1 };
  }

  #own(): Size {
    try {
      const { columns, rows } = Deno.consoleSize();
      return { cols: Math.max(1, columns), rows: Math.max(1, rows) };
    } catch {
      return { cols: 80, rows: 24 };
    }
  }

  // What the stream brings, in its order; while the past is played, behind it.
  metadata(frame: Control<"metadata">): void {
    this.#self = frame.watcher;
    this.people(frame.writer, frame.watchers);
    this.#mode = frame.mode;
    if (this.#note !== null && /^(connecting|no connection)/.test(this.#note)) this.#say(null);
    if (frame.mode === "readonly" && this.#attachment.mode === "readwrite") {
      this.#say("you may watch this agent, not type");
    }
    this.#then(() => this.#screen.resize(frame));
  }

  output(bytes: Uint8Array<ArrayBuffer>, at: number | null): void {
    this.#then(() => this.#screen.write(bytes), at ?? "now");
  }

  snapshot(size: Size, bytes: Uint8Array<ArrayBuffer>): void {
    this.#then(() => this.#screen.snapshot(size, bytes));
  }

  size(size: Size): void {
    this.#then(() => this.#screen.resize(size));
  }

  #then(apply: () => void, at: number | "now" | null = null): void {
    if (this.#replay === null) apply();
    else this.#replay.add(apply, at);
    this.#changed();
  }

  gap(lostBytes: number | null, reason: string): void {
    const much = lostBytes === null ? "some output" : `${lostBytes} bytes`;
    // Until somebody is there to have seen it.
    this.#say(`GAP: ${much} not shown (${neutraliseLine(reason)})`, true);
  }

  people(writer: string | null, watchers: Watchers): void {
    this.#writer = writer;
    this.#watchers = watchers;
    this.#changed();
  }

  mode(mode: ObserveMode, writer: string | null, reason: string): void {
    this.#mode = mode;
    this.#writer = writer;
    this.#say(neutraliseLine(reason));
  }

  bell(): void {
    this.#bell = true;
    this.#changed();
  }

  title(text: string): void {
    this.#title = text;
    this.#changed();
  }

  screen(): void {}

  lost(reason: string): void {
    this.#self = null;
    this.#writer = null;
    this.#watchers = [];
    this.#say(`no connection: ${neutraliseLine(reason)}; trying again`, true);
  }

  #say(note: string | null, stays = false): void {
    clearTimeout(this.#noteTimer);
    this.#note = note;
    if (note !== null && !stays) this.#noteTimer = setTimeout(() => this.#say(null), NOTE_MS);
    this.#changed();
  }

  #type(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#replay?.playing === true) return this.#replay.finish();
    this.#screen.follow();
    if (this.#stream.connected) this.#say(null);
    if (this.#mode === "readonly") return this.#say("you watch: nothing is typed");
    if (this.#writer !== null && this.#writer !== this.#self) {
      return this.#say("ctrl-] t takes it");
    }
    // What is typed at a screen that is not shown goes nowhere.
    if (!this.#stream.type(bytes)) this.bell();
  }

  #act(action: Action): void {
    if (this.#stream.connected) this.#say(null);
    switch (action) {
      case "detach":
        return this.#end("you left with ctrl-] d");
      case "take":
        if (this.#mode === "readonly") return this.#say("you may watch this agent, not type");
        this.#stream.send({ type: "take" });
        return;
      case "release":
        this.#stream.send({ type: "release" });
        return;
      case "help":
        return this.#say(HELP);
      default:
        this.#screen.look(action, this.#view());
        return this.#changed();
    }
  }

  async #forwardKeys(): Promise<void> {
    const buffer = new Uint8Array(16 * 1024);
    while (!this.#stop.signal.aborted) {
      const count = await Deno.stdin.read(buffer);
      if (count === null) return this.#end("this terminal closed");
      this.#keys.feed(buffer.subarray(0, count));
    }
  }

  #standing() {
    const { name } = this.#attachment;
    return {
      name,
      mode: this.#mode,
      self: this.#self,
      writer: this.#writer,
      watchers: this.#watchers,
    };
  }

  /** Draws, now or when what is being drawn has been taken: a slow terminal gets fewer screens, not later ones. */
  #changed(): void {
    this.#dirty = true;
    if (this.#drawing || this.#leaving) return;
    this.#drawing = true;
    // What came in one go is drawn in one.
    this.#written = Promise.resolve().then(() => this.#drawAll())
      .catch(() => this.#end("this terminal closed"))
      .finally(() => {
        this.#drawing = false;
        // Changed between the last look and now.
        if (this.#dirty) this.#changed();
      });
  }

  async #drawAll(): Promise<void> {
    while (this.#dirty && !this.#leaving) {
      this.#dirty = false;
      const own = this.#own();
      const view = this.#view();
      const note = this.#replay?.playing === true ? this.#replay.note() : this.#note;
      const below = view.rows < own.rows ? [statusLine(this.#standing(), note, own.cols)] : [];
      let text = this.#screen.draw(view, below);
      const title = [this.#attachment.name, keyboardOf(this.#standing()), this.#title]
        .filter((part) => part !== "").map(neutraliseLine).join(" · ");
      if (title !== this.#shownTitle) text += `\x1b]2;${title}\x07`;
      this.#shownTitle = title;
      if (this.#bell) text += "\x07";
      this.#bell = false;
      let rest = encode(text);
      while (rest.length > 0) rest = rest.subarray(await Deno.stdout.write(rest));
    }
  }
}

const encode = (text: string) => new TextEncoder().encode(text);

function writeAll(bytes: Uint8Array): void {
  let rest = bytes;
  while (rest.length > 0) rest = rest.subarray(Deno.stdout.writeSync(rest));
}
