// SPDX-License-Identifier: Apache-2.0

/** Plays events in time: faster, with shorter pauses, from anywhere. Knows no terminal. */
import type { Clock } from "../../lib/clock.ts";
import type { CastEvent } from "../../lib/recording/mod.ts";

export type Key =
  | "pause"
  | "back"
  | "forth"
  | "far-back"
  | "far-forth"
  | "marker-back"
  | "marker-forth"
  | "faster"
  | "slower"
  | "leave";

const STEP_MS: Partial<Record<Key, number>> = {
  back: -10_000,
  forth: 10_000,
  "far-back": -60_000,
  "far-forth": 60_000,
};
const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 100];

export interface PlayerOptions {
  readonly events: readonly CastEvent[];
  readonly speed: number;
  /** The longest pause, ms; 0: as they were. */
  readonly idleMs: number;
  /** Where it begins, ms of the recording. */
  readonly from: number;
  readonly clock: Clock;
  readonly draw: (text: string) => void;
  /** The screen is drawn from nothing: the player went back. */
  readonly clear: () => void;
}

export class Player {
  readonly #options: PlayerOptions;
  #next = 0;
  /** Where it is, ms of the recording. */
  #at = 0;
  #speed: number;
  #isPaused = false;
  /** Interrupts the present pause. */
  #turn = new AbortController();
  #isOver = false;
  #moved = false;

  constructor(options: PlayerOptions) {
    this.#options = options;
    this.#speed = options.speed;
  }

  get at(): number {
    return this.#at;
  }

  get speed(): number {
    return this.#speed;
  }

  press(key: Key): void {
    switch (key) {
      case "leave":
        this.#isOver = true;
        break;
      case "pause":
        this.#isPaused = !this.#isPaused;
        break;
      case "faster":
        this.#speed = SPEEDS.find((speed) => speed > this.#speed) ?? this.#speed;
        break;
      case "slower":
        this.#speed = SPEEDS.findLast((speed) => speed < this.#speed) ?? this.#speed;
        break;
      case "marker-back":
      case "marker-forth":
        this.#seek(this.#markerFrom(key === "marker-forth"));
        break;
      default:
        this.#seek(this.#at + STEP_MS[key]!);
    }
    this.#turn.abort();
  }

  /** @returns whether it came to the end */
  async run(): Promise<boolean> {
    const { events, clock } = this.#options;
    if (this.#options.from > 0) this.#seek(this.#options.from);
    while (!this.#isOver) {
      if (this.#isPaused) {
        await this.#untilKey();
        continue;
      }
      const event = events[this.#next];
      if (event === undefined) return true;
      const speed = this.#speed;
      const pause = this.#pauseBefore(event) / speed;
      if (pause > 0) {
        const began = clock.now();
        this.#turn = new AbortController();
        await clock.sleep(pause, this.#turn.signal).catch(() => {});
        if (this.#turn.signal.aborted) {
          // A key: it may have moved; if not, what has passed of the pause is passed.
          if (!this.#moved) {
            this.#at = Math.min(event.at, this.#at + (clock.now() - began) * speed);
          }
          this.#moved = false;
          continue;
        }
      }
      this.#show(event);
    }
    return false;
  }

  /** Where the next one is, or the one before; without one, the end or the beginning. */
  #markerFrom(forth: boolean): number {
    const marks = this.#options.events.filter(({ code }) => code === "m").map(({ at }) => at);
    return forth
      ? marks.find((at) => at > this.#at) ?? Infinity
      : marks.findLast((at) => at < this.#at) ?? 0;
  }

  async #untilKey(): Promise<void> {
    this.#turn = new AbortController();
    const { signal } = this.#turn;
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    this.#moved = false;
  }

  #pauseBefore({ at }: CastEvent): number {
    const { idleMs } = this.#options;
    const pause = Math.max(0, at - this.#at);
    return idleMs > 0 ? Math.min(pause, idleMs) : pause;
  }

  #show(event: CastEvent): void {
    this.#at = event.at;
    this.#next++;
    if (event.code === "o") this.#options.draw(event.data);
  }

  #seek(to: number): void {
    const { events, clear, draw } = this.#options;
    const target = Math.max(0, Math.min(to, events.at(-1)?.at ?? 0));
    if (target < this.#at) {
      clear();
      this.#next = 0;
    }
    let text = "";
    while (this.#next < events.length && events[this.#next]!.at <= target) {
      const { code, data } = events[this.#next++]!;
      if (code === "o") text += data;
    }
    if (text !== "") draw(text);
    this.#at = target;
    this.#moved = true;
  }
}
