// SPDX-License-Identifier: Apache-2.0

/** Joins two byte streams until both have ended. */
import type { Wire } from "../wire.ts";

export interface SpliceOptions {
  /** Called with every piece that was passed on. */
  readonly onBytes: (direction: "up" | "down", count: number) => void;
  /** Changes what goes to the upstream; what it throws ends both. */
  readonly outgoing?: (bytes: Uint8Array) => Uint8Array;
  /** Changes what comes from the upstream, or throws likewise; its `end` gives what was held back. */
  readonly scrubber?: { push(chunk: Uint8Array): Uint8Array; end(): Uint8Array };
  /** Called with what `outgoing` or `scrubber` threw. */
  readonly onFault?: (thrown: unknown) => void;
}

/**
 * Back-pressure: a piece is written before the next is read. One side's end is passed on while the other
 * direction goes on; an error on either side ends both. Both are closed when this resolves.
 */
export async function splice(
  caller: Wire,
  upstream: Wire,
  { onBytes, outgoing, scrubber, onFault }: SpliceOptions,
): Promise<void> {
  const close = () => {
    caller.close();
    upstream.close();
  };
  const changed = (bytes: Uint8Array, change?: (bytes: Uint8Array) => Uint8Array) => {
    if (change === undefined) return bytes;
    try {
      return change(bytes);
    } catch (thrown) {
      onFault?.(thrown);
      throw thrown;
    }
  };
  const up = async () => {
    for (let bytes = await caller.read(); bytes !== null; bytes = await caller.read()) {
      const { length } = bytes;
      const out = changed(bytes, outgoing);
      if (out.length > 0) await upstream.write(out);
      onBytes("up", length);
    }
    await upstream.closeWrite();
  };
  const down = async () => {
    for (let bytes = await upstream.read(); bytes !== null; bytes = await upstream.read()) {
      const { length } = bytes;
      const out = changed(bytes, scrubber && ((piece) => scrubber.push(piece)));
      if (out.length > 0) await caller.write(out);
      onBytes("down", length);
    }
    const held = scrubber?.end();
    if (held !== undefined && held.length > 0) await caller.write(held);
    await caller.closeWrite();
  };
  const either = (direction: Promise<void>) =>
    direction.catch(() => {
      // A peer that went away is how most conversations end.
      close();
    });
  await Promise.all([either(up()), either(down())]);
  close();
}
