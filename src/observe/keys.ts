// SPDX-License-Identifier: Apache-2.0

/** Keystrokes on their way to the session, in the order in which they came. */

/** What may wait, bytes: a session that reads nothing must not hold memory. */
const MAX_PENDING = 1024 * 1024;

export class Keys {
  readonly #terminal: { write(bytes: Uint8Array): Promise<void> };
  #pending = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(terminal: { write(bytes: Uint8Array): Promise<void> }) {
    this.#terminal = terminal;
  }

  /** What is too much is dropped, as a terminal does. */
  write(bytes: Uint8Array): void {
    if (this.#pending + bytes.length > MAX_PENDING) return;
    this.#pending += bytes.length;
    this.#last = this.#last.then(() => this.#terminal.write(bytes)).then(
      () => void (this.#pending -= bytes.length),
      // The client has ended; who reads from it says so.
      () => {},
    );
  }
}
