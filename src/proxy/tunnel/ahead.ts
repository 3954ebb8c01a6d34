// SPDX-License-Identifier: Apache-2.0

import type { Wire } from "../wire.ts";

/** Gives first what was read with the head. */
export class Ahead implements Wire {
  #first: Uint8Array | null;
  readonly #wire: Wire;
  constructor(first: Uint8Array, wire: Wire) {
    this.#first = first.length === 0 ? null : first;
    this.#wire = wire;
  }
  read(): Promise<Uint8Array | null> {
    const first = this.#first;
    this.#first = null;
    return first === null ? this.#wire.read() : Promise.resolve(first);
  }
  write(bytes: Uint8Array): Promise<void> {
    return this.#wire.write(bytes);
  }
  watch(onDead: () => void): () => void {
    return this.#wire.watch(onDead);
  }
  closeWrite(): Promise<void> {
    return this.#wire.closeWrite();
  }
  close(): void {
    this.#wire.close();
  }
}
