// SPDX-License-Identifier: Apache-2.0

/**
 * What a principal's terminal says of it: when it last wrote, whether it is quiet, whether its screen looks like a
 * question. While it is quiet nothing runs here; while it writes, one look a second for whoever listens.
 */
import type { StreamTap } from "../tap.ts";
import { compileWaiting, lastLine, look, type Looks, type Screen, shown } from "./looks.ts";

/** So long without output is quiet. */
export const QUIET_MS = 2_000;
/** Between two looks, and between two frames. */
export const LOOK_MS = 1_000;
/** A screen that is never quiet asks something when it asks the same for so long. */
const STEADY_MS = 4_000;
/** A question that was away for less, as while a screen is drawn anew, is the same question. */
const SAME_MS = 15_000;
/** A terminal rings at whoever types there, too. */
const TYPING_MS = 3_000;

/** Relay to daemon, as JSON. What stands on the screen is made harmless, and cut at 200 characters. */
export interface ActivityFrame {
  readonly type: "activity";
  /** ms epoch, as all times here; the relay's clock is the machine's. */
  readonly at: number;
  readonly last_output: number | null;
  readonly quiet: boolean;
  /** When it last rang, unless somebody was typing. */
  readonly bell: number | null;
  /** When a watcher last typed. */
  readonly typed: number | null;
  readonly title: string;
  readonly last_line: string;
  readonly alternate: boolean;
  readonly cursor: boolean;
  readonly looks: (Looks & { readonly since: number }) | null;
}

export interface ActivityScreen extends Screen {
  title(): string;
  alternate(): boolean;
}

/** Time, so that tests need none. */
export interface ActivityTime {
  now(): number;
  /** @returns what cancels it */
  after(ms: number, act: () => void): () => void;
}

const realTime: ActivityTime = {
  now: () => Date.now(),
  after: (ms, act) => {
    const timer = setTimeout(act, ms);
    return () => clearTimeout(timer);
  },
};

export class Activity implements StreamTap {
  readonly #screen: ActivityScreen;
  readonly #time: ActivityTime;
  #own: ReturnType<typeof compileWaiting> = [];
  #lastOutput: number | null = null;
  #bell: number | null = null;
  #typed: number | null = null;
  #quiet = true;
  #looks: ActivityFrame["looks"] = null;
  /** What it looks like, as long as that is not sure. */
  #seen: { looks: Looks; since: number; last: number } | null = null;
  #told = "";
  readonly #listeners = new Set<(frame: ActivityFrame) => void>();
  /** Cancels the look that is to come. */
  #cancel: (() => void) | null = null;

  constructor(screen: ActivityScreen, time: ActivityTime = realTime) {
    this.#screen = screen;
    this.#time = time;
  }

  // As a tap of the stream (`StreamTap`).

  output({ at }: { readonly at: number }): void {
    this.#lastOutput = at;
    this.#quiet = false;
    this.#arm();
  }

  resize(): void {
    this.#arm();
  }

  bell(at: number): void {
    if (this.#typed !== null && at - this.#typed < TYPING_MS) return;
    this.#bell = at;
    this.#arm();
  }

  title(): void {
    this.#arm();
  }

  ended(): void {
    this.#stop();
    this.#listeners.clear();
  }

  /** A watcher typed: whatever was asked may be answered. */
  typed(at: number): void {
    const isNews = this.#typed === null || at - this.#typed >= LOOK_MS;
    this.#typed = at;
    this.#bell = null;
    this.#seen = null;
    if (isNews) this.#arm();
  }

  watched({ what }: { readonly what: string }, at: number): void {
    if (what === "types") this.typed(at);
  }

  /** What a template adds. */
  setWaiting(patterns: readonly unknown[]): void {
    this.#own = compileWaiting(patterns);
    this.#arm();
  }

  /** Hears what is, and what becomes. @returns the unsubscriber */
  listen(listener: (frame: ActivityFrame) => void): () => void {
    this.#listeners.add(listener);
    this.#told = "";
    this.#look();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#stop();
    };
  }

  #stop(): void {
    this.#cancel?.();
    this.#cancel = null;
  }

  #arm(): void {
    if (this.#cancel !== null || this.#listeners.size === 0) return;
    this.#cancel = this.#time.after(LOOK_MS, () => {
      this.#cancel = null;
      this.#look();
    });
  }

  #look(): void {
    const now = this.#time.now();
    this.#quiet = this.#lastOutput === null || now - this.#lastOutput >= QUIET_MS;
    this.#judge(now);
    this.#tell(now);
    if (!this.#quiet) this.#arm();
  }

  #judge(now: number): void {
    const looks = look(this.#screen, this.#own);
    const seen = this.#seen;
    if (looks === null) {
      if (seen !== null && now - seen.last > SAME_MS) this.#seen = null;
      this.#looks = null;
      return;
    }
    const isSame = seen !== null && seen.looks.means === looks.means &&
      plain(seen.looks.line) === plain(looks.line) && now - seen.last <= SAME_MS;
    const since = isSame ? seen.since : this.#lastOutput ?? now;
    this.#seen = { looks, since, last: now };
    const isSure = this.#quiet || (isSame && now - since >= STEADY_MS);
    this.#looks = isSure ? { ...looks, since } : null;
  }

  #tell(at: number): void {
    const told = {
      type: "activity" as const,
      last_output: this.#quiet ? this.#lastOutput : null,
      quiet: this.#quiet,
      bell: this.#bell,
      typed: this.#typed,
      title: shown(this.#screen.title()),
      last_line: lastLine(this.#screen.lines()),
      alternate: this.#screen.alternate(),
      cursor: this.#screen.cursor().visible,
      looks: this.#looks,
    };
    const text = JSON.stringify(told);
    if (text === this.#told) return;
    this.#told = text;
    const frame: ActivityFrame = { ...told, at, last_output: this.#lastOutput };
    for (const listener of this.#listeners) listener(frame);
  }
}

/** Seconds that count up in a question make no other question of it. */
function plain(line: string): string {
  return line.replace(/\d+/g, "0");
}
