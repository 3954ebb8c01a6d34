// SPDX-License-Identifier: Apache-2.0

/**
 * Replaces secrets in a terminal's output by stars. What could be the beginning of one waits, at most
 * `MOST_HELD` bytes of text; so do events that come after it.
 */
import { type CastCode, importHmac, macOf, type SecretList } from "../../lib/recording/mod.ts";
import { type Candidate, SecretScanner } from "./scanner.ts";

const STAR = 0x2a;
/** Stands for a byte that goes: no NUL passes the filter. */
const GONE = 0;

export type Recorded =
  | { readonly at: number; readonly bytes: Uint8Array }
  | { readonly at: number; readonly code: CastCode; readonly data: string };

/** Output with its place in all output, or an event in between. */
type Held = Recorded & { readonly from: number };

export class Redactor {
  #list: SecretList | null;
  #hmac: Promise<CryptoKey> | null = null;
  readonly #scanner: SecretScanner;
  #held: Held[] = [];
  #position = 0;

  constructor(list: SecretList | null) {
    this.#scanner = new SecretScanner(list);
    this.#list = null;
    if (list !== null) this.#take(list);
  }

  #take(list: SecretList): void {
    this.#list = list;
    this.#hmac = list.pieces.length === 0 ? null : importHmac(Uint8Array.fromBase64(list.key));
    this.#hmac?.catch(() => {});
  }

  replace(list: SecretList): void {
    this.#take(list);
    this.#scanner.replace(list);
  }

  /** @param bytes becomes ours, and is written to */
  async output(at: number, bytes: Uint8Array): Promise<void> {
    const from = this.#position;
    this.#position += bytes.length;
    this.#held.push({ at, bytes, from });
    if (this.#scanner.isEmpty) return;
    await this.#each(this.#scanner, bytes, from, (position) => this.#hide(position));
  }

  async #each(
    scanner: SecretScanner,
    bytes: Uint8Array,
    base: number,
    hide: (position: number) => void,
  ): Promise<void> {
    // Stars that were put already are not what stood there.
    const original = bytes.slice();
    let next = 0;
    while (next < bytes.length) {
      const scanned = scanner.scan(original, base, next);
      next = scanned.next;
      for (const candidate of scanned.found) {
        if (!await this.#isSecret(candidate)) continue;
        scanner.learn(candidate.bytes);
        this.#scanner.learn(candidate.bytes);
        candidate.positions.forEach(hide);
      }
    }
  }

  event(at: number, code: CastCode, data: string): void {
    this.#held.push({ at, code, data, from: this.#position });
  }

  async #isSecret({ bytes, macs }: Candidate): Promise<boolean> {
    if (macs.length === 0) return true;
    if (this.#hmac === null) return false;
    const mac = await macOf(await this.#hmac, bytes);
    return macs.includes(mac);
  }

  /** What went out already can't be taken back. */
  #hide(position: number): void {
    for (let index = this.#held.length - 1; index >= 0; index--) {
      const held = this.#held[index]!;
      if (held.from > position || !("bytes" in held)) continue;
      const at = position - held.from;
      if (at >= held.bytes.length) return;
      // One star a character.
      held.bytes[at] = (held.bytes[at]! & 0xc0) === 0x80 ? GONE : STAR;
      return;
    }
  }

  /** Nobody will see what waits. A secret that began there is still known by its end. */
  drop(): void {
    this.#held = [];
  }

  /** What can't become part of a secret any more, or all. */
  take(all = false): Recorded[] {
    const until = all ? null : this.#scanner.heldFrom;
    if (until === null) return this.#held.splice(0).map(clean);
    const out: Recorded[] = [];
    while (this.#held.length > 0) {
      const first = this.#held[0]!;
      if (!("bytes" in first)) {
        if (first.from > until) break;
        out.push(first);
        this.#held.shift();
        continue;
      }
      const { at, bytes, from } = first;
      const ready = Math.min(bytes.length, until - from);
      if (ready <= 0) break;
      out.push(clean({ at, bytes: bytes.subarray(0, ready) }));
      if (ready === bytes.length) this.#held.shift();
      else {
        this.#held[0] = { at, bytes: bytes.subarray(ready), from: from + ready };
        break;
      }
    }
    return out;
  }

  /** The same for a whole screen, which is no part of the stream. */
  async screen(bytes: Uint8Array): Promise<Uint8Array> {
    if (this.#list === null || this.#scanner.isEmpty) return bytes;
    const list = this.#list;
    const scanner = this.#scanner.fresh(list);
    const copy = new Uint8Array(bytes);
    // Twice: what is found whole at the end is known in parts at the beginning then.
    for (let turn = 0; turn < 2; turn++) {
      await this.#each(scanner, bytes, turn * bytes.length, (position) => {
        const at = position % bytes.length;
        copy[at] = (bytes[at]! & 0xc0) === 0x80 ? GONE : STAR;
      });
    }
    return withoutGone(copy);
  }
}

function clean(item: Held | Recorded): Recorded {
  if (!("bytes" in item)) return item;
  return { at: item.at, bytes: withoutGone(item.bytes) };
}

function withoutGone(bytes: Uint8Array): Uint8Array {
  return bytes.includes(GONE) ? bytes.filter((byte) => byte !== GONE) : bytes;
}
