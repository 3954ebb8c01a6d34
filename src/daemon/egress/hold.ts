// SPDX-License-Identifier: Apache-2.0

/** A connection that waits for a person: it is told so, and noticed when it leaves. */
import type { Target } from "../../lib/authority.ts";
import type { AskAnswer, AskDecider } from "../asks/types.ts";
import { type Duplex, writeAll } from "../../lib/duplex.ts";

export interface HoldOptions {
  readonly ask: AskDecider;
  readonly principal: string;
  readonly target: Target;
  /** How long the answer may take: the caller extends its own patience by it. */
  readonly timeoutMs: number;
}

export interface Held {
  readonly answer: AskAnswer;
  /** To be used in the caller's place: a read of it is under way. */
  readonly caller: Duplex;
}

/**
 * Writes `102 Processing` with `Bureau-Hold: <seconds>`, so that whoever waits at the other end knows that
 * it is no silent hang, and asks.
 * @returns null when the caller left
 */
export async function hold(caller: Duplex, options: HoldOptions): Promise<Held | null> {
  const seconds = Math.ceil(options.timeoutMs / 1000);
  const head = `HTTP/1.1 102 Processing\r\nBureau-Hold: ${seconds}\r\n\r\n`;
  await writeAll(caller, new TextEncoder().encode(head));
  const leaving = new AbortController();
  const watched = new Watched(caller, () => leaving.abort());
  const answer = await options.ask.ask(options.principal, options.target, leaving.signal);
  return leaving.signal.aborted ? null : { answer, caller: watched };
}

/** Reads ahead once, for that is the only way to notice an end. */
class Watched implements Duplex {
  readonly #inner: Duplex;
  #ahead: Promise<Uint8Array | null> | null;
  #left = new Uint8Array(0);

  constructor(inner: Duplex, onEnd: () => void) {
    this.#inner = inner;
    const buffer = new Uint8Array(4096);
    this.#ahead = inner.read(buffer).then((n) => n === null ? null : buffer.subarray(0, n));
    this.#ahead.then((bytes) => {
      if (bytes === null) onEnd();
    }, onEnd);
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    if (this.#ahead !== null) {
      const ahead = this.#ahead;
      this.#ahead = null;
      const bytes = await ahead;
      if (bytes === null) return null;
      this.#left = bytes.slice();
    }
    if (this.#left.length === 0) return await this.#inner.read(buffer);
    const n = Math.min(buffer.length, this.#left.length);
    buffer.set(this.#left.subarray(0, n));
    this.#left = this.#left.subarray(n);
    return n;
  }

  write(bytes: Uint8Array): Promise<number> {
    return this.#inner.write(bytes);
  }
  closeWrite(): Promise<void> {
    return this.#inner.closeWrite();
  }
  close(): void {
    this.#inner.close();
  }
}
