// SPDX-License-Identifier: Apache-2.0

/** Bytes both ways, whatever carries them. */
export interface ByteStream {
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly writable: WritableStream<Uint8Array<ArrayBuffer>>;
  /** At once; it may be called twice. */
  close(): void;
}

/** Two ends become one stream. Resolves when it has ended in both directions, or in one by a failure. */
export async function join(one: ByteStream, other: ByteStream): Promise<void> {
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
export function streamOf(conn: Deno.Conn): ByteStream {
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
