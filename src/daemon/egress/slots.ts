// SPDX-License-Identifier: Apache-2.0

/** How many of one principal's connections may be under way at once; the others queue in order. */
export class Slots {
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(count: number) {
    this.#free = count;
  }

  /** @returns whether a slot was had before `signal` aborted; then `leave` gives it back */
  async enter(signal: AbortSignal): Promise<boolean> {
    if (this.#free > 0) {
      this.#free--;
      return true;
    }
    if (signal.aborted) return false;
    const turn = Promise.withResolvers<boolean>();
    const go = () => turn.resolve(true);
    const giveUp = () => {
      if (this.#waiting.delete(go)) turn.resolve(false);
    };
    this.#waiting.add(go);
    signal.addEventListener("abort", giveUp, { once: true });
    try {
      return await turn.promise;
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
  }

  leave(): void {
    const [first] = this.#waiting;
    if (first === undefined) {
      this.#free++;
      return;
    }
    // Handed on, so that nobody who comes later gets in between.
    this.#waiting.delete(first);
    first();
  }
}
