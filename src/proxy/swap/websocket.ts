// SPDX-License-Identifier: Apache-2.0

/**
 * Swaps placeholders in the text messages that a client sends over a WebSocket (RFC 6455 §5). A message may be
 * cut into frames anywhere, and a swap changes its length, so frames are made anew; control frames and binary
 * messages keep theirs.
 */
import { concatBytes } from "../../lib/bytes.ts";
import { badRequest } from "../errors.ts";
import type { Placeholders, Swapper } from "./placeholders.ts";

const OPCODE = { continuation: 0, text: 1, close: 8 } as const;
const FIN = 0x80;
const MASKED = 0x80;

interface Frame {
  readonly final: boolean;
  readonly opcode: number;
  readonly reserved: number;
  readonly mask: Uint8Array;
  readonly length: number;
}

export class WebSocketSwapper {
  readonly #placeholders: Placeholders;
  #buffer: Uint8Array = new Uint8Array();
  #frame: Frame | null = null;
  /** Of the current frame's payload: so much was read. */
  #read = 0;
  /** `opcode`: of its next frame. `swapper`: null where nothing is swapped. */
  #message: { readonly swapper: Swapper | null; opcode: number } | null = null;

  constructor(placeholders: Placeholders) {
    this.#placeholders = placeholders;
  }

  /** @throws {ProxyError} `placeholder-wrong-host`, or `bad-request` on what is no frame of a client */
  push(chunk: Uint8Array): Uint8Array {
    const out: Uint8Array[] = [];
    this.#buffer = this.#buffer.length === 0 ? chunk : concatBytes([this.#buffer, chunk]);
    while (true) {
      this.#frame ??= this.#takeHead();
      if (this.#frame === null) break;
      const frame = this.#frame;
      const control = frame.opcode >= OPCODE.close;
      const available = Math.min(this.#buffer.length, frame.length - this.#read);
      const complete = this.#read + available === frame.length;
      // A control frame can't be cut up; of others what is there is passed on.
      if (!complete && (control || available === 0)) break;
      const payload = unmask(this.#buffer.subarray(0, available), frame.mask, this.#read);
      this.#buffer = this.#buffer.subarray(available);
      this.#read += available;
      out.push(...this.#pass(frame, payload, complete));
      if (complete) {
        this.#frame = null;
        this.#read = 0;
      }
    }
    return concatBytes(out);
  }

  /** What was held back of a message that never ended. */
  end(): Uint8Array {
    return new Uint8Array();
  }

  #takeHead(): Frame | null {
    const bytes = this.#buffer;
    if (bytes.length < 2) return null;
    const short = bytes[1]! & 0x7f;
    const extra = short === 126 ? 2 : short === 127 ? 8 : 0;
    const size = 2 + extra + 4;
    if (bytes.length < size) return null;
    if ((bytes[1]! & MASKED) === 0) throw badRequest("a WebSocket frame of a client has no mask");
    const view = new DataView(bytes.buffer, bytes.byteOffset, size);
    const length = extra === 0 ? short : extra === 2 ? view.getUint16(2) : lengthOf(view);
    const opcode = bytes[0]! & 0x0f;
    if (opcode >= OPCODE.close && (length > 125 || (bytes[0]! & FIN) === 0)) {
      throw badRequest("a WebSocket control frame is too long or in parts");
    }
    this.#buffer = bytes.subarray(size);
    return {
      final: (bytes[0]! & FIN) !== 0,
      opcode,
      reserved: bytes[0]! & 0x70,
      mask: bytes.slice(size - 4, size),
      length,
    };
  }

  #pass(frame: Frame, payload: Uint8Array, complete: boolean): Uint8Array[] {
    if (frame.opcode >= OPCODE.close) return [frameOf(frame, frame.opcode, true, payload)];
    const first = this.#read === payload.length && frame.opcode !== OPCODE.continuation;
    if (first || this.#message === null) {
      // Extensions were not offered, so a reserved bit is nonsense, which the upstream may refuse.
      const isText = frame.opcode === OPCODE.text && frame.reserved === 0;
      this.#message = {
        swapper: isText ? this.#swapperFor(payload) : null,
        opcode: frame.opcode,
      };
    }
    const message = this.#message;
    const ends = complete && frame.final;
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

function lengthOf(view: DataView): number {
  const length = view.getBigUint64(2);
  if (length > BigInt(Number.MAX_SAFE_INTEGER)) throw badRequest("a WebSocket frame is too long");
  return Number(length);
}

function unmask(bytes: Uint8Array, mask: Uint8Array, from: number): Uint8Array {
  const plain = new Uint8Array(bytes.length);
  for (let at = 0; at < bytes.length; at++) plain[at] = bytes[at]! ^ mask[(from + at) & 3]!;
  return plain;
}

function frameOf(
  { reserved }: Frame,
  opcode: number,
  final: boolean,
  payload: Uint8Array,
): Uint8Array {
  const { length } = payload;
  const extra = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const out = new Uint8Array(2 + extra + 4 + length);
  const view = new DataView(out.buffer);
  out[0] = (final ? FIN : 0) | reserved | opcode;
  out[1] = MASKED | (extra === 0 ? length : extra === 2 ? 126 : 127);
  if (extra === 2) view.setUint16(2, length);
  if (extra === 8) view.setBigUint64(2, BigInt(length));
  const mask = crypto.getRandomValues(out.subarray(2 + extra, 6 + extra));
  for (let at = 0; at < length; at++) out[6 + extra + at] = payload[at]! ^ mask[at & 3]!;
  return out;
}
