// SPDX-License-Identifier: Apache-2.0

/**
 * Swaps placeholders in the text messages that a client sends over a WebSocket (RFC 6455 §5). A message may be
 * cut into frames anywhere, and a swap changes its length, so frames are made anew; control frames and binary
 * messages keep theirs.
 */
import { concatBytes } from "../../lib/bytes.ts";
import { badRequest } from "../errors.ts";
import { frameOf, FrameReader, isControl, OPCODE, type Piece } from "./frames.ts";
import type { Placeholders, Swapper } from "./placeholders.ts";

export class WebSocketSwapper {
  readonly #placeholders: Placeholders;
  readonly #frames = new FrameReader("client", badRequest);
  /** `opcode`: of its next frame. `swapper`: null where nothing is swapped. */
  #message: { readonly swapper: Swapper | null; opcode: number } | null = null;

  constructor(placeholders: Placeholders) {
    this.#placeholders = placeholders;
  }

  /** @throws {ProxyError} `placeholder-wrong-host`, or `bad-request` on what is no frame of a client */
  push(chunk: Uint8Array): Uint8Array {
    const out: Uint8Array[] = [];
    for (const piece of this.#frames.push(chunk)) out.push(...this.#pass(piece));
    return concatBytes(out);
  }

  /** What was held back of a message that never ended. */
  end(): Uint8Array {
    return new Uint8Array();
  }

  #pass({ frame, payload, isFirst, isLast }: Piece): Uint8Array[] {
    if (isControl(frame)) return [frameOf(frame, frame.opcode, true, payload)];
    if ((isFirst && frame.opcode !== OPCODE.continuation) || this.#message === null) {
      // Extensions were not offered, so a reserved bit is nonsense, which the upstream may refuse.
      const isText = frame.opcode === OPCODE.text && frame.reserved === 0;
      this.#message = {
        swapper: isText ? this.#swapperFor(payload) : null,
        opcode: frame.opcode,
      };
    }
    const message = this.#message;
    const ends = isLast && frame.final;
    let bytes = payload;
    if (message.swapper !== null) {
      bytes = message.swapper.push(payload);
      if (ends) bytes = concatBytes([bytes, message.swapper.end()]);
    }
    const { opcode } = message;
    if (ends) this.#message = null;
    // A part of which all is held back needs no frame of its own.
    if (bytes.length === 0 && !ends) return [];
    message.opcode = OPCODE.continuation;
    return [frameOf(frame, opcode, ends, bytes)];
  }

  /** A message that begins as JSON does is taken for it. */
  #swapperFor(payload: Uint8Array): Swapper {
    const begin = payload.find((byte) => byte !== 0x20 && byte !== 0x0a && byte !== 0x0d);
    return this.#placeholders.stream(begin === 0x7b || begin === 0x5b ? "json" : "raw", "message");
  }
}
