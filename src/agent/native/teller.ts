// SPDX-License-Identifier: Apache-2.0

/** Events in their order, though some come where nobody can wait. */
import type { AgentEvent } from "../event.ts";
import type { Piece } from "../model/types.ts";

export class Teller {
  readonly #emit: (event: AgentEvent) => void | Promise<void>;
  #told: Promise<void> = Promise.resolve();

  constructor(emit: (event: AgentEvent) => void | Promise<void>) {
    this.#emit = emit;
  }

  /** Told after all before it. @throws what the listener throws */
  async tell(event: AgentEvent): Promise<void> {
    this.queue(event);
    await this.#told;
  }

  /** The same without waiting: what goes wrong is thrown at the next `tell`. */
  queue(event: AgentEvent): void {
    this.#told = this.#told.then(() => this.#emit(event));
    this.#told.catch(() => {});
  }

  piece(piece: Piece): void {
    if (piece.type === "reset") {
      const message = "the answer begins anew: what was told of it is void";
      this.queue({ type: "error", message, is_retried: true });
    } else this.queue({ ...piece, partial: true });
  }

  /** Of a turn that ends, whatever happened to the listener meanwhile. */
  async last(event: AgentEvent): Promise<void> {
    this.#told = this.#told.catch(() => {});
    await this.tell(event).catch(() => {});
  }
}
