// SPDX-License-Identifier: Apache-2.0

/** What a sync loop asks for. Changing it takes effect at once: the long poll under way is given up. */
export class SyncFilter {
  #value: object;
  #json: string;
  #change = new AbortController();

  constructor(value: object) {
    this.#value = value;
    this.#json = JSON.stringify(value);
  }

  get value(): object {
    return this.#value;
  }

  /** Aborts when `value` is replaced; a new signal stands for the new value. */
  get changed(): AbortSignal {
    return this.#change.signal;
  }

  /** The same value again changes nothing. */
  set(value: object): void {
    const json = JSON.stringify(value);
    if (json === this.#json) return;
    this.#value = value;
    this.#json = json;
    const before = this.#change;
    this.#change = new AbortController();
    before.abort(new DOMException("the filter changed", "AbortError"));
  }
}
