// SPDX-License-Identifier: Apache-2.0

/**
 * What comes on a WebSocket, from its first moment: frames that arrive together with the handshake are
 * dispatched before whoever awaits its opening goes on, and would find no handler.
 */
export class Incoming {
  readonly #early: MessageEvent[] = [];
  #handler: ((event: MessageEvent) => void) | null = null;
  /** Resolves when the connection has ended. */
  readonly ended: Promise<void>;

  /** @param socket not open yet */
  constructor(readonly socket: WebSocket) {
    socket.onmessage = (event) => {
      if (this.#handler === null) this.#early.push(event);
      else this.#handler(event);
    };
    this.ended = new Promise((resolve) => socket.onclose = () => resolve());
  }

  /** From now on to `handler`, what came before first. */
  receive(handler: (event: MessageEvent) => void): void {
    this.#handler = handler;
    for (const event of this.#early.splice(0)) handler(event);
  }

  /** What comes from now on is dropped. */
  stop(): void {
    this.#handler = () => {};
  }
}
