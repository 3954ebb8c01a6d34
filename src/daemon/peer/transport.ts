// SPDX-License-Identifier: Apache-2.0

/**
 * How bytes get from one machine's daemon to another's. What carries them makes sure that they come from nobody but
 * the machine that was named; who is at the other end of a stream that a peer opened is said inside it (`assertion.ts`).
 */
export interface PeerStream {
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly writable: WritableStream<Uint8Array<ArrayBuffer>>;
  /** At once; it may be called twice. */
  close(): void;
}

export interface PeerTransport {
  /**
   * @param machine user id
   * @throws {DaemonError} `peer-unknown` where that machine has not said how to reach it; `peer-away`
   */
  open(machine: string, signal: AbortSignal): Promise<PeerStream>;
  /** Calls `onStream` with each that a peer opens, until `signal` aborts. Never throws. */
  accept(onStream: (stream: PeerStream) => void, signal: AbortSignal): Promise<void>;
}

/** Two ends become one stream. Resolves when it has ended in both directions, or in one by a failure. */
export async function join(one: PeerStream, other: PeerStream): Promise<void> {
  try {
    await Promise.all([
      one.readable.pipeTo(other.writable),
      other.readable.pipeTo(one.writable),
    ]);
  } catch {
    // Whoever closed first has closed for both.
  } finally {
    one.close();
    other.close();
  }
}

/** Of a connection of Deno's. */
export function streamOf(conn: Deno.Conn): PeerStream {
  return {
    readable: conn.readable,
    writable: conn.writable,
    close() {
      try {
        conn.close();
      } catch {
        // Closed already.
      }
    },
  };
}
