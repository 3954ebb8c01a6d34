// SPDX-License-Identifier: Apache-2.0

/**
 * Takes secrets out of the messages that a server sends over a WebSocket. A message ends where its last frame
 * does, so what may be a secret's beginning waits for the rest of its own message only. Frames are made anew:
 * a secret may be cut by their boundaries.
 */
import { concatBytes } from "../../lib/bytes.ts";
import { malformed } from "../http1/head.ts";
import type { Secrets } from "../scrub.ts";
import { frameOf, FrameReader, isControl, OPCODE, type Piece } from "./frames.ts";

export class WebSocketScrubber {
  readonly #secrets: Secrets;
  readonly #frames = new FrameReader("server", malformed);
  /** `opcode`: of its next frame. */
  #message: { readonly scrubber: ReturnType<Secrets["stream"]>; opcode: number } | null = null;

  constructor(secrets: Secrets) {
    this.#secrets = secrets;
  }

  /** @throws {ProxyError} `bad-upstream-response` on what is no frame of a server: it can't be looked into */
  push(chunk: Uint8Array): Uint8Array {
    const out: Uint8Array[] = [];
    for (const piece of this.#frames.push(chunk)) {
      const frame = this.#pass(piece);
      if (frame !== null) out.push(frame);
    }
    return concatBytes(out);
  }

  /** A message that never ended is lost with its connection. */
  end(): Uint8Array {
    return new Uint8Array();
  }

  #pass({ frame, payload, isFirst, isLast }: Piece): Uint8Array | null {
    // No extension was offered. A compressed message would carry a secret past this.
    if (frame.reserved !== 0) throw malformed("a WebSocket frame has a reserved bit");
    if (isControl(frame)) {
      this.#secrets.scrubWhole(payload);
      return frameOf(frame, frame.opcode, true, payload);
    }
    const continues = frame.opcode === OPCODE.continuation;
    if (isFirst && continues !== (this.#message !== null)) {
      throw malformed("a WebSocket message begins in another, or goes on without having begun");
    }
    this.#message ??= { scrubber: this.#secrets.stream(), opcode: frame.opcode };
    const { scrubber, opcode } = this.#message;
    const ends = isLast && frame.final;
    const passed = scrubber.push(payload);
    const bytes = ends ? concatBytes([passed, scrubber.end()]) : passed;
    if (ends) this.#message = null;
    // Of which all is held back needs no frame of its own.
    if (bytes.length === 0 && !ends) return null;
    if (this.#message !== null) this.#message.opcode = OPCODE.continuation;
    return frameOf(frame, opcode, ends, bytes);
  }
}
