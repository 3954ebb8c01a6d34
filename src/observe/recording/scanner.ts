// SPDX-License-Identifier: Apache-2.0

/** Finds where the text of a terminal's output may be a secret, whatever its escape sequences do. */
import {
  type FingerprintKey,
  fingerprintKey,
  fingerprintOf,
  LONGEST_PIECE,
  type SecretList,
  Squeezer,
} from "../../lib/recording/mod.ts";

const ESC = 0x1b;
const BEL = 0x07;
/** A power of two that holds the longest piece. */
const RING = 128;
/** As well. */
const SIEVE = 16_384;
/** Of a secret that was seen whole, every so long part is one too: a screen that is drawn anew may begin in its middle. */
const FRAGMENT = 12;
/** Secrets that were seen and are remembered. */
const MAX_SEEN = 1_024;

export interface Candidate {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where each byte stands in the output. */
  readonly positions: readonly number[];
  /** HMACs of which one must be its; none: it is known to be one. */
  readonly macs: readonly string[];
}

interface Window {
  readonly length: number;
  /** What each byte takes away from the hash when it leaves: its value times `multiplier` to `length`. */
  readonly leaving: Int32Array;
  /** Fingerprint → HMACs; those of fragments have the text itself. */
  readonly known: Map<number, { macs: string[]; texts: Set<string> }>;
  /** By the last bits of a fingerprint: whether it can be known at all. Most of the text is looked at no further. */
  readonly maybe: Uint8Array;
  hash: number;
}

const EMPTY: SecretList = { seed: 0, multiplier: 1, key: "", pieces: [] };
const latin1 = new TextDecoder("latin1");

export class SecretScanner {
  #key: FingerprintKey = fingerprintKey(EMPTY);
  #windows: Window[] = [];
  #seen: Uint8Array[] = [];
  readonly #squeezer = new Squeezer();
  readonly #text = new Uint8Array(RING);
  readonly #positions = new Float64Array(RING);
  #count = 0;
  #state: "ground" | "escape" | "intermediate" | "csi" | "string" | "string-escape" = "ground";

  constructor(list: SecretList | null) {
    if (list !== null) this.replace(list);
  }

  /** A scanner of its own that knows the same secrets, also those that were seen. */
  fresh(list: SecretList): SecretScanner {
    const other = new SecretScanner(list);
    other.#seen = [...this.#seen];
    other.replace(list);
    return other;
  }

  /** Looks for these from here on; what came before still counts for them. */
  replace(list: SecretList): void {
    this.#key = fingerprintKey(list);
    this.#windows = [];
    for (const [length, fingerprint, mac] of list.pieces) {
      this.#known(length, fingerprint).macs.push(mac);
    }
    for (const bytes of this.#seen) this.#addFragments(bytes);
    this.#rehash();
  }

  get isEmpty(): boolean {
    return this.#windows.length === 0;
  }

  /** Where the output begins that a secret may still go on from; null: nothing needs to wait. */
  get heldFrom(): number | null {
    const longest = Math.max(0, ...this.#windows.map(({ length }) => length));
    const held = Math.min(longest - 1, this.#count);
    return held <= 0 ? null : this.#positions[(this.#count - held) & (RING - 1)]!;
  }

  /** A secret that was seen whole: from now on parts of it are known too. */
  learn(bytes: Uint8Array): void {
    const isKnown = this.#seen.some((seen) => latin1.decode(seen) === latin1.decode(bytes));
    if (isKnown || this.#seen.length >= MAX_SEEN) return;
    this.#seen.push(bytes);
    this.#addFragments(bytes);
    this.#rehash();
  }

  #addFragments(bytes: Uint8Array): void {
    for (let from = 0; from + FRAGMENT <= bytes.length; from++) {
      const fragment = bytes.subarray(from, from + FRAGMENT);
      const known = this.#known(FRAGMENT, fingerprintOf(this.#key, fragment));
      known.texts.add(latin1.decode(fragment));
    }
  }

  #known(length: number, fingerprint: number): { macs: string[]; texts: Set<string> } {
    let window = this.#windows.find((one) => one.length === length);
    if (window === undefined) {
      const { multiplier, table } = this.#key;
      let power = 1;
      for (let turn = 0; turn < length; turn++) power = Math.imul(power, multiplier);
      const leaving = table.map((value) => Math.imul(value, power));
      window = { length, leaving, known: new Map(), maybe: new Uint8Array(SIEVE), hash: 0 };
      this.#windows.push(window);
    }
    let known = window.known.get(fingerprint);
    if (known === undefined) window.known.set(fingerprint, known = { macs: [], texts: new Set() });
    window.maybe[fingerprint & (SIEVE - 1)] = 1;
    return known;
  }

  /** After new windows: their hashes of what came before. */
  #rehash(): void {
    for (const window of this.#windows) {
      const length = Math.min(window.length, this.#count);
      window.hash = fingerprintOf(this.#key, this.#last(length));
    }
  }

  #last(length: number): Uint8Array<ArrayBuffer> {
    const from = this.#count - length;
    return Uint8Array.from({ length }, (_, index) => this.#text[(from + index) & (RING - 1)]!);
  }

  /**
   * Stops after a byte with which something may be a secret: what is known changes when it is one.
   *
   * @param base position of the first byte
   * @param from index of the byte to go on with
   * @returns index of the next one
   */
  scan(
    bytes: Uint8Array,
    base: number,
    from: number,
  ): { readonly found: readonly Candidate[]; readonly next: number } {
    const found: Candidate[] = [];
    const emit = (byte: number, position: number) => this.#add(byte, position, found);
    let index = from;
    while (index < bytes.length && found.length === 0) {
      const byte = bytes[index]!;
      if (this.#state !== "ground" || byte === ESC) this.#step(byte);
      else if (byte > 0x20 && byte < 0x7c && !this.#squeezer.isWaiting) {
        // Most of all text.
        this.#add(byte, base + index, found);
      } else this.#squeezer.push(byte, base + index, emit);
      index++;
    }
    return { found, next: index };
  }

  #add(byte: number, position: number, found: Candidate[]): void {
    const text = this.#text;
    const count = this.#count++;
    const { multiplier, table } = this.#key;
    const value = table[byte]!;
    let isCandidate = false;
    for (const window of this.#windows) {
      const { length } = window;
      let hash = (Math.imul(window.hash, multiplier) + value) | 0;
      if (count >= length) {
        hash = (hash - window.leaving[text[(count - length) & (RING - 1)]!]!) | 0;
      }
      window.hash = hash;
      if (window.maybe[hash & (SIEVE - 1)] === 1) isCandidate = true;
    }
    text[count & (RING - 1)] = byte;
    this.#positions[count & (RING - 1)] = position;
    if (isCandidate) this.#look(found);
  }

  #look(found: Candidate[]): void {
    for (const { length, hash, known } of this.#windows) {
      const match = this.#count < length ? undefined : known.get(hash);
      if (match === undefined) continue;
      const bytes = this.#last(length);
      const isFragment = match.texts.has(latin1.decode(bytes));
      if (!isFragment && match.macs.length === 0) continue;
      const from = this.#count - length;
      const positions = Array.from(
        { length },
        (_, index) => this.#positions[(from + index) & (RING - 1)]!,
      );
      found.push({ bytes, positions, macs: isFragment ? [] : match.macs });
    }
  }

  /** ECMA-48, as in `TerminalFilter`, which came before: only what it lets through comes here. */
  #step(byte: number): void {
    switch (this.#state) {
      case "ground":
      case "string-escape":
        this.#state = this.#state === "string-escape" && byte === 0x5c ? "ground" : "escape";
        return;
      case "escape":
        if (byte === ESC) return;
        if (byte === 0x5b) this.#state = "csi";
        else if (byte >= 0x20 && byte <= 0x2f) this.#state = "intermediate";
        else this.#state = "]PX^_k".includes(String.fromCharCode(byte)) ? "string" : "ground";
        return;
      case "intermediate":
        if (byte >= 0x30 || byte === 0x18 || byte === 0x1a) this.#state = "ground";
        return;
      case "csi":
        if (byte === ESC) this.#state = "escape";
        else if (byte >= 0x40 || byte === 0x18 || byte === 0x1a) this.#state = "ground";
        return;
      case "string":
        if (byte === ESC) this.#state = "string-escape";
        else if (byte === BEL || byte === 0x18 || byte === 0x1a) this.#state = "ground";
    }
  }
}

/** So much of the text is held back at most, bytes. */
export const MOST_HELD = LONGEST_PIECE - 1;
