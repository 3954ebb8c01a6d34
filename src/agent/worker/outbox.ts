// SPDX-License-Identifier: Apache-2.0

/**
 * What a worker has to say, on its way to the parent: events in one bounded queue, everything else in another that
 * goes first, so that a question never waits behind tokens.
 */
import { type Clock, systemClock } from "../../lib/clock.ts";

const MAX_EVENTS = 64;
const MAX_CONTROLS = 32;
/** Of one run: more than that wait only where somebody does not wait for `event`. */
const MAX_WAITING = 1024;
/** What a socket may hold that the other end has not taken. */
const MAX_BUFFERED = 1024 * 1024;
/** A WebSocket does not say when it has room again. */
const LOOK_AGAIN_MS = 5;

export interface Pipe {
  readonly bufferedAmount: number;
  send(text: string): void;
}

export class Outbox {
  readonly #pipe: Pipe;
  readonly #clock: Clock;
  readonly #events: string[] = [];
  readonly #controls: string[] = [];
  readonly #waiting: (() => void)[] = [];
  readonly #idle: (() => void)[] = [];
  #sending = false;
  #closed = false;

  constructor(pipe: Pipe, clock: Clock = systemClock) {
    this.#pipe = pipe;
    this.#clock = clock;
  }

  /** Resolves when it is in the queue. @throws RangeError for somebody who never waits */
  async event(text: string): Promise<void> {
    if (this.#waiting.length >= MAX_WAITING) {
      throw new RangeError(`more than ${MAX_WAITING} events were told at once`);
    }
    if (!this.#closed && (this.#events.length >= MAX_EVENTS || this.#waiting.length > 0)) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    if (this.#closed) return;
    this.#events.push(text);
    this.#pump();
  }

  /** @returns false when there are too many already */
  control(text: string): boolean {
    if (this.#closed || this.#controls.length >= MAX_CONTROLS) return false;
    this.#controls.push(text);
    this.#pump();
    return true;
  }

  /** Resolves when all that was queued is on its way. */
  flushed(): Promise<void> {
    if (this.#closed || this.#isEmpty()) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Nobody listens any more: whoever waits goes on, for nothing. */
  close(): void {
    this.#closed = true;
    this.#events.length = this.#controls.length = 0;
    for (const go of [...this.#waiting.splice(0), ...this.#idle.splice(0)]) go();
  }

  #isEmpty(): boolean {
    return this.#events.length + this.#controls.length + this.#waiting.length === 0;
  }

  #pump(): void {
    if (this.#sending) return;
    this.#sending = true;
    while (!this.#closed) {
      if (this.#pipe.bufferedAmount > MAX_BUFFERED) {
        void this.#clock.sleep(LOOK_AGAIN_MS).then(() => {
          this.#sending = false;
          this.#pump();
        });
        return;
      }
      const text = this.#controls.shift() ?? this.#events.shift();
      if (text === undefined) break;
      try {
        this.#pipe.send(text);
      } catch {
        this.close();
        break;
      }
      this.#waiting.shift()?.();
    }
    this.#sending = false;
    if (this.#isEmpty()) { for (const go of this.#idle.splice(0)) go(); }
  }
}
