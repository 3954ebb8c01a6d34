// SPDX-License-Identifier: Apache-2.0

/** What several give and one takes, in order. Who gives may wait while too much lies there. */
export class Queue<T> implements AsyncIterable<T> {
  readonly #items: T[] = [];
  #isEnded = false;
  #taken = Promise.withResolvers<void>();
  #given = Promise.withResolvers<void>();

  constructor(private most = 1000) {}

  push(...items: readonly T[]): void {
    if (this.#isEnded) return;
    this.#items.push(...items);
    this.#given.resolve();
  }

  /** Until there is room. */
  async room(): Promise<void> {
    while (this.#items.length >= this.most && !this.#isEnded) await this.#taken.promise;
  }

  /** From now on there is room for everything: whoever took may have left. */
  widen(): void {
    this.most = Infinity;
    this.#taken.resolve();
  }

  end(): void {
    this.#isEnded = true;
    this.#given.resolve();
    this.#taken.resolve();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    while (true) {
      while (this.#items.length > 0) {
        const item = this.#items.shift()!;
        this.#taken.resolve();
        this.#taken = Promise.withResolvers();
        yield item;
      }
      if (this.#isEnded) return;
      this.#given = Promise.withResolvers();
      await this.#given.promise;
    }
  }
}
