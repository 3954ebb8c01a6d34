// SPDX-License-Identifier: Apache-2.0

/** One byte stream to an upstream, through the egress gate: plain over the Unix socket, or TLS over it. */

export interface Wire {
  /**
   * The next bytes, null at the end; never empty. The array belongs to the caller.
   *
   * @throws when the connection broke
   */
  read(): Promise<Uint8Array | null>;
  /** Resolves once the other side took the bytes into its buffers: this is the back-pressure. */
  write(bytes: Uint8Array): Promise<void>;
  /**
   * Watches a connection that waits in a pool.
   *
   * @param onDead called at most once, when the upstream closed it or spoke out of turn
   * @returns ends the watch before the connection is used again
   */
  watch(onDead: () => void): () => void;
  /** Says that nothing more will be written; reading goes on. */
  closeWrite(): Promise<void>;
  /** Ends both directions at once. Idempotent. */
  close(): void;
}

/** Read sizes: small until a response turns out to be large. */
const SMALL_READ = 16 * 1024;
const LARGE_READ = 256 * 1024;

/** A Unix connection without TLS: only ever to an upstream on the daemon's loopback. */
export class PlainWire implements Wire {
  readonly #connection: Deno.Conn;
  #pending: Promise<Uint8Array | null> | null = null;
  #size = SMALL_READ;

  constructor(connection: Deno.Conn) {
    this.#connection = connection;
  }

  read(): Promise<Uint8Array | null> {
    const pending = this.#pending ?? this.#start();
    this.#pending = null;
    return pending;
  }

  async #start(): Promise<Uint8Array | null> {
    const buffer = new Uint8Array(this.#size);
    const count = await this.#connection.read(buffer);
    if (count === null) return null;
    this.#size = count === buffer.length ? LARGE_READ : SMALL_READ;
    return buffer.subarray(0, count);
  }

  async write(bytes: Uint8Array): Promise<void> {
    let written = await this.#connection.write(bytes);
    while (written < bytes.length) {
      written += await this.#connection.write(bytes.subarray(written));
    }
  }

  watch(onDead: () => void): () => void {
    let watching = true;
    const dead = () => {
      if (!watching) return;
      watching = false;
      onDead();
    };
    this.#pending = this.#start();
    this.#pending.then(dead, dead);
    return () => watching = false;
  }

  async closeWrite(): Promise<void> {
    await this.#connection.closeWrite();
  }

  close(): void {
    try {
      this.#connection.close();
    } catch {
      // Closed already, by us or by the other side.
    }
  }
}
