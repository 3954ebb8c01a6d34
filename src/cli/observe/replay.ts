// SPDX-License-Identifier: Apache-2.0

/** The past at a pace that can be followed, and then the present: for `observe --since`. */
import { type Clock, systemClock } from "../../lib/clock.ts";

/** So much faster than it was, and no pause longer than this. */
const SPEED = 20;
const LONGEST_MS = 400;
/** The past is over when nothing more of it came for so long. */
const END_MS = 1_000;

interface Step {
  readonly apply: () => void;
  /** When it was; null: it belongs where it comes. */
  readonly at: number | "now" | null;
}

export class Replay {
  readonly #changed: () => void;
  readonly #clock: Clock;
  readonly #steps: Step[] = [];
  readonly #stop = new AbortController();
  /** Shown after the pause before it. */
  #held: Step | null = null;
  #at: number | null = null;
  #running = false;
  #over = false;

  /** @param changed called after each step */
  constructor(changed: () => void, clock: Clock = systemClock) {
    this.#changed = changed;
    this.#clock = clock;
  }

  /** Whether it shows the past. */
  get playing(): boolean {
    return !this.#over && this.#at !== null;
  }

  note(): string {
    const ago = Math.max(0, Math.round((this.#clock.now() - (this.#at ?? 0)) / 1000));
    const text = ago < 90 ? `${ago} s` : `${Math.round(ago / 60)} min`;
    return `${text} ago, ${SPEED} times as fast; any key: now`;
  }

  /** @param at when it was; "now": the past is over; null: it belongs where it comes */
  add(apply: () => void, at: Step["at"]): void {
    if (this.#over) return apply();
    this.#steps.push({ apply, at });
    if (!this.#running) void this.#play();
  }

  /** The rest at once. */
  finish(): void {
    this.#over = true;
    this.#held?.apply();
    this.#held = null;
    for (const { apply } of this.#steps.splice(0)) apply();
    this.#stop.abort();
    this.#changed();
  }

  stop(): void {
    this.#over = true;
    this.#steps.length = 0;
    this.#stop.abort();
  }

  async #play(): Promise<void> {
    this.#running = true;
    while (!this.#over) {
      const step = this.#steps.shift();
      if (step === undefined) {
        // Nothing of the past has come yet.
        if (this.#at === null) break;
        // All of it comes at once, so what does not come any more is not of the past.
        await this.#sleep(END_MS);
        if (this.#steps.length === 0) return this.finish();
        continue;
      }
      if (step.at === "now" && this.#at !== null) {
        step.apply();
        return this.finish();
      }
      if (typeof step.at === "number") {
        const pause = this.#at === null ? 0 : Math.max(0, (step.at - this.#at) / SPEED);
        this.#at = step.at;
        this.#changed();
        this.#held = step;
        await this.#sleep(Math.min(LONGEST_MS, pause));
        // Shown already, with all the rest, when it was told to finish.
        if (this.#held === null) return;
        this.#held = null;
      }
      step.apply();
      this.#changed();
    }
    this.#running = false;
  }

  #sleep(ms: number): Promise<void> {
    return this.#clock.sleep(ms, this.#stop.signal).catch(() => {});
  }
}
