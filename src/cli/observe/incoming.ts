// SPDX-License-Identifier: Apache-2.0

/**
 * What comes on a WebSocket, from its first moment: frames that arrive together with the handshake are
 * dispatched before whoever awaits its opening goes on, and would find no handler. So would the news that a
 * Unix socket refuses: it is there before whoever awaited the socket itself.
 */
export class Incoming {
  readonly #early: MessageEvent[] = [];
  #handler: ((event: MessageEvent) => void) | null = null;
  /** Whether it came about. */
  readonly opened: Promise<boolean>;
  /** Resolves when the connection has ended. */
  readonly ended: Promise<void>;

  /** @param socket made in this very turn of the event loop */
  constructor(readonly socket: WebSocket) {
    socket.binaryType = "arraybuffer";
    socket.onmessage = (event) => {
      if (this.#handler === null) this.#early.push(event);
      else this.#handler(event);
    };
    this.ended = new Promise((resolve) => socket.onclose = () => resolve());
    this.opened = new Promise((resolve) => {
      socket.onopen = () => resolve(true);
      socket.onerror = () => resolve(false);
      this.ended.then(() => resolve(false));
    });
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
