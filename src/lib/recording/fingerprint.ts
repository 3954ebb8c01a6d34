// SPDX-License-Identifier: Apache-2.0

/**
 * How a process that must not know secrets recognises them: for each the launcher gives its length, a
 * rolling fingerprint (Rabin–Karp over a random table and multiplier) that says where to look, and an
 * HMAC-SHA-256 that says whether it is it. All are over the squeezed text: UTF-8 without blanks, control
 * characters, `|` and box drawing, so that a secret that a screen wraps, pads or frames is the same one.
 */

/** A shorter value would take words out of ordinary text. */
export const SHORTEST_SECRET = 8;
/** A value of twice this or more is looked for in pieces of at least this length. */
const PIECE = 32;
export const LONGEST_PIECE = 2 * PIECE - 1;
const MAX_PIECES = 4_096;

/** One piece: its length in squeezed bytes, fingerprint, HMAC in base64. */
export type SecretPiece = readonly [length: number, fingerprint: number, mac: string];

/** What a relay is given. Without its keys it says nothing; with them a guess can be checked. */
export interface SecretList {
  readonly seed: number;
  readonly multiplier: number;
  /** Base64, of the HMAC. */
  readonly key: string;
  readonly pieces: readonly SecretPiece[];
}

export interface FingerprintKey {
  readonly multiplier: number;
  /** What each byte counts. */
  readonly table: Int32Array;
}

export function fingerprintKey(
  { seed, multiplier }: Pick<SecretList, "seed" | "multiplier">,
): FingerprintKey {
  const table = new Int32Array(256);
  let state = seed | 0;
  for (let byte = 0; byte < 256; byte++) {
    // SplitMix32: well spread; which secret it is, the HMAC says.
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    table[byte] = mixed ^ (mixed >>> 15);
  }
  return { multiplier: multiplier | 1, table };
}

export function fingerprintOf({ multiplier, table }: FingerprintKey, bytes: Uint8Array): number {
  let hash = 0;
  for (const byte of bytes) hash = (Math.imul(hash, multiplier) + table[byte]!) | 0;
  return hash;
}

/** Takes out what a terminal adds to a text. Of UTF-8, byte by byte. */
export class Squeezer {
  /** The first bytes of what may be box drawing (E2 94 or E2 95, and one more). */
  #waiting: [number, number][] = [];

  get isWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** @param emit told each byte that counts, with the position that came with it */
  push(byte: number, position: number, emit: (byte: number, position: number) => void): void {
    const { length } = this.#waiting;
    if (length > 0) {
      const isBox = length === 1 ? byte === 0x94 || byte === 0x95 : byte >= 0x80 && byte <= 0xbf;
      if (isBox) {
        if (length === 2) this.#waiting = [];
        else this.#waiting.push([byte, position]);
        return;
      }
      this.flush(emit);
    }
    if (byte <= 0x20 || byte === 0x7c || byte === 0x7f) return;
    if (byte === 0xe2) this.#waiting = [[byte, position]];
    else emit(byte, position);
  }

  /** Box drawing that does not go on is none. */
  flush(emit: (byte: number, position: number) => void): void {
    for (const [byte, position] of this.#waiting.splice(0)) emit(byte, position);
  }
}

export function squeeze(text: string): Uint8Array<ArrayBuffer> {
  const bytes: number[] = [];
  const squeezer = new Squeezer();
  const emit = (byte: number) => void bytes.push(byte);
  for (const byte of new TextEncoder().encode(text)) squeezer.push(byte, 0, emit);
  squeezer.flush(emit);
  return new Uint8Array(bytes);
}

/** Pieces of one value, each to be found alone: a long one is cut, so that little must be held back. */
export function piecesOf(value: Uint8Array): Uint8Array[] {
  if (value.length < SHORTEST_SECRET) return [];
  const count = Math.max(1, Math.floor(value.length / PIECE));
  const at = (index: number) => Math.floor(index * value.length / count);
  return Array.from({ length: count }, (_, index) => value.subarray(at(index), at(index + 1)));
}

/** As the terminal may show it: as it is, percent-encoded, JSON-escaped; line by line. */
function* spellings(value: string): Generator<string> {
  for (const line of value.split(/\r?\n/)) {
    if (squeeze(line).length < SHORTEST_SECRET) continue;
    yield line;
    yield JSON.stringify(line).slice(1, -1);
    try {
      yield encodeURIComponent(line);
    } catch {
      // Half a character: nobody spells it so.
    }
  }
}

/** @param values secret */
export async function listSecrets(values: readonly string[]): Promise<SecretList> {
  const key = crypto.getRandomValues(new Uint8Array(32));
  const [seed, multiplier] = crypto.getRandomValues(new Int32Array(2)) as unknown as [
    number,
    number,
  ];
  const fingerprints = fingerprintKey({ seed, multiplier });
  const hmac = await importHmac(key);
  const pieces = new Map<string, SecretPiece>();
  for (const value of values) {
    for (const spelling of spellings(value)) {
      for (const piece of piecesOf(squeeze(spelling))) {
        const mac = await macOf(hmac, piece);
        pieces.set(mac, [piece.length, fingerprintOf(fingerprints, piece), mac]);
        if (pieces.size >= MAX_PIECES) break;
      }
    }
  }
  // Sorted by what says nothing: the order of the credentials is nobody's business.
  const sorted = [...pieces.values()].sort((a, b) => a[2] < b[2] ? -1 : 1);
  return { seed, multiplier, key: key.toBase64(), pieces: sorted };
}

export function importHmac(key: Uint8Array<ArrayBuffer>): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
}

/** In base64. */
export async function macOf(key: CryptoKey, bytes: Uint8Array): Promise<string> {
  const copy = new Uint8Array(bytes);
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, copy)).toBase64();
}

/** By hand: a relay loads no schema library. @throws {RangeError} */
export function parseSecretList(value: unknown): SecretList {
  const { seed, multiplier, key, pieces } = (value ?? {}) as Record<string, unknown>;
  const isPiece = (piece: unknown): piece is SecretPiece =>
    Array.isArray(piece) && piece.length === 3 && Number.isInteger(piece[0]) &&
    piece[0] >= SHORTEST_SECRET && piece[0] <= LONGEST_PIECE && Number.isInteger(piece[1]) &&
    typeof piece[2] === "string";
  const ok = Number.isInteger(seed) && Number.isInteger(multiplier) && typeof key === "string" &&
    Array.isArray(pieces) && pieces.length <= MAX_PIECES && pieces.every(isPiece);
  if (!ok) throw new RangeError("the list of secrets is wrong");
  return {
    seed: seed as number,
    multiplier: multiplier as number,
    key,
    pieces: pieces as SecretPiece[],
  };
}
