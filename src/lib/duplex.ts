// SPDX-License-Identifier: Apache-2.0

/** What `Deno.Conn` offers and a test can fake. */
export interface Duplex {
  read(buffer: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  closeWrite(): Promise<void>;
  close(): void;
}

export interface Transferred {
  /** Towards the upstream. */
  up: number;
  /** Towards the principal. */
  down: number;
}

const BUFFER_BYTES = 64 * 1024;

/** Called after each piece of `bytes`; what it returns is waited for before the next is read. */
export type Turn = (bytes: number) => Promise<void> | undefined;

/**
 * Copies both ways until both ends have finished. Back-pressure: a chunk is written before the next is
 * read. Half-close: one side's end is passed on while the other direction goes on. An error in either
 * direction ends both, for half a conversation is of no use to anybody.
 *
 * @param transferred counted as bytes pass, so that a running tunnel can be measured
 * @param turn how this pair shares the thread with others
 */
export async function copyBoth(
  a: Duplex,
  b: Duplex,
  transferred: Transferred,
  turn?: Turn,
): Promise<void> {
  const closeAll = () => {
    closeQuietly(a);
    closeQuietly(b);
  };
  try {
    await Promise.all([
      copy(a, b, (n) => transferred.up += n, turn),
      copy(b, a, (n) => transferred.down += n, turn),
    ].map((direction) =>
      direction.catch((thrown) => {
        closeAll();
        throw thrown;
      })
    ));
  } catch (thrown) {
    if (!isDisconnect(thrown)) throw thrown;
  } finally {
    closeAll();
  }
}

async function copy(
  from: Duplex,
  to: Duplex,
  count: (n: number) => void,
  turn?: Turn,
): Promise<void> {
  const buffer = new Uint8Array(BUFFER_BYTES);
  while (true) {
    const length = await from.read(buffer);
    if (length === null) break;
    await writeAll(to, buffer.subarray(0, length));
    count(length);
    const wait = turn?.(length);
    if (wait !== undefined) await wait;
  }
  await to.closeWrite();
}

export async function writeAll(to: Duplex, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
}

export function closeQuietly(connection: { close(): void }): void {
  try {
    connection.close();
  } catch {
    // Closed already, by the other direction or by its peer.
  }
}

/** A peer that went away is how most conversations end. */
export function isDisconnect(thrown: unknown): boolean {
  return thrown instanceof Deno.errors.ConnectionReset ||
    thrown instanceof Deno.errors.BrokenPipe ||
    thrown instanceof Deno.errors.BadResource ||
    thrown instanceof Deno.errors.Interrupted ||
    thrown instanceof Deno.errors.NotConnected ||
    thrown instanceof Deno.errors.ConnectionAborted ||
    thrown instanceof Deno.errors.UnexpectedEof;
}
