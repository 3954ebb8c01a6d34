// SPDX-License-Identifier: Apache-2.0

/** Frames of WebSocket messages (RFC 6455 §5.2), read piece by piece and made anew. */
import { concatBytes } from "../../lib/bytes.ts";
import type { ProxyError } from "../errors.ts";

export const OPCODE = { continuation: 0, text: 1, close: 8 } as const;
const FIN = 0x80;
const MASKED = 0x80;
const MAX_CONTROL_BYTES = 125;

export interface Frame {
  readonly final: boolean;
  readonly opcode: number;
  readonly reserved: number;
  /** Empty in a server's. */
  readonly mask: Uint8Array;
  readonly length: number;
}

/** A part of a frame's payload, unmasked; a control frame's comes whole. */
export interface Piece {
  readonly frame: Frame;
  readonly payload: Uint8Array;
  readonly isFirst: boolean;
  readonly isLast: boolean;
}

/** Splits what one side sends into pieces. Never holds more than a frame's head or a control frame. */
export class FrameReader {
  readonly #from: "client" | "server";
  readonly #malformed: (why: string) => ProxyError;
  #buffer: Uint8Array = new Uint8Array();
  #frame: Frame | null = null;
  /** Of the current frame's payload: so much was read. */
  #read = 0;

  constructor(from: "client" | "server", malformed: (why: string) => ProxyError) {
    this.#from = from;
    this.#malformed = malformed;
  }

  /** @throws {ProxyError} `malformed` on what is no frame of this side */
  *push(chunk: Uint8Array): Generator<Piece> {
    this.#buffer = this.#buffer.length === 0 ? chunk : concatBytes([this.#buffer, chunk]);
    while (true) {
      this.#frame ??= this.#takeHead();
      if (this.#frame === null) return;
      const frame = this.#frame;
      const available = Math.min(this.#buffer.length, frame.length - this.#read);
      const isLast = this.#read + available === frame.length;
      // A control frame can't be cut up; of others what is there is passed on.
      if (!isLast && (isControl(frame) || available === 0)) return;
      const payload = unmask(this.#buffer.subarray(0, available), frame.mask, this.#read);
      const isFirst = this.#read === 0;
      this.#buffer = this.#buffer.subarray(available);
      this.#read = isLast ? 0 : this.#read + available;
      if (isLast) this.#frame = null;
      yield { frame, payload, isFirst, isLast };
    }
  }

  #takeHead(): Frame | null {
    const bytes = this.#buffer;
    if (bytes.length < 2) return null;
    const masked = (bytes[1]! & MASKED) !== 0;
    if (masked !== (this.#from === "client")) {
      throw this.#malformed(
        masked
          ? "a WebSocket frame of a server has a mask"
          : "a WebSocket frame of a client has no mask",
      );
    }
    const short = bytes[1]! & 0x7f;
    const extra = extraOf(short);
    const size = 2 + extra + (masked ? 4 : 0);
    if (bytes.length < size) return null;
    const view = new DataView(bytes.buffer, bytes.byteOffset, size);
    const length = extra === 0 ? short : extra === 2 ? view.getUint16(2) : this.#longLength(view);
    const opcode = bytes[0]! & 0x0f;
    const final = (bytes[0]! & FIN) !== 0;
    if (opcode >= OPCODE.close && (length > MAX_CONTROL_BYTES || !final)) {
      throw this.#malformed("a WebSocket control frame is too long or in parts");
    }
    this.#buffer = bytes.subarray(size);
    const mask = bytes.slice(2 + extra, size);
    return { final, opcode, reserved: bytes[0]! & 0x70, mask, length };
  }

  #longLength(view: DataView): number {
    const length = view.getBigUint64(2);
    if (length > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw this.#malformed("a WebSocket frame is too long");
    }
    return Number(length);
  }
}

export function isControl({ opcode }: Frame): boolean {
  return opcode >= OPCODE.close;
}

function extraOf(short: number): number {
  return short === 126 ? 2 : short === 127 ? 8 : 0;
}

function unmask(bytes: Uint8Array, mask: Uint8Array, from: number): Uint8Array {
  if (mask.length === 0) return bytes.slice();
  const plain = new Uint8Array(bytes.length);
  for (let at = 0; at < bytes.length; at++) plain[at] = bytes[at]! ^ mask[(from + at) & 3]!;
  return plain;
}

/** A frame with the side and the reserved bits of another; a client's gets a mask of its own. */
export function frameOf(
  { reserved, mask: { length: maskSize } }: Frame,
  opcode: number,
  final: boolean,
  payload: Uint8Array,
): Uint8Array {
  const { length } = payload;
  const extra = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const start = 2 + extra + maskSize;
  const out = new Uint8Array(start + length);
  const view = new DataView(out.buffer);
  out[0] = (final ? FIN : 0) | reserved | opcode;
  out[1] = (maskSize === 0 ? 0 : MASKED) | (extra === 0 ? length : extra === 2 ? 126 : 127);
  if (extra === 2) view.setUint16(2, length);
  if (extra === 8) view.setBigUint64(2, BigInt(length));
  out.set(payload, start);
  if (maskSize === 0) return out;
  const mask = crypto.getRandomValues(out.subarray(2 + extra, start));
  for (let at = 0; at < length; at++) out[start + at] = payload[at]! ^ mask[at & 3]!;
  return out;
}
