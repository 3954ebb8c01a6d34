// SPDX-License-Identifier: Apache-2.0

/**
 * The last part of the stream: for who comes back after a broken connection, and for who asks what was. In
 * sections, each with a snapshot of the screen at its beginning, so that the screen at any later moment can
 * be had. The oldest sections go when there is too much of it, or too old; no timer runs for that.
 */
import { HISTORY_BYTES, HISTORY_MS } from "./constants.ts";
import type { Size } from "./frames.ts";

const SECTION_BYTES = 128 * 1024;
const SECTION_MS = 5 * 60_000;
/** Parts closer together than this share a time. */
const GRAIN_MS = 50;

/** A piece of the stream, all of it drawn on a screen of one size. */
export interface Piece {
  /** When its first byte was. */
  readonly at: number;
  readonly size: Size;
  /** Not copied, and never written again. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

interface Mark {
  readonly offset: number;
  readonly at: number;
}

class Section {
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(4096);
  #length = 0;
  readonly marks: Mark[] = [];

  constructor(
    readonly start: number,
    readonly startedAt: number,
    readonly size: Size,
    readonly snapshot: Uint8Array<ArrayBuffer>,
  ) {}

  get end(): number {
    return this.start + this.#length;
  }

  append(bytes: Uint8Array): void {
    const needed = this.#length + bytes.length;
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(
        Math.max(needed, Math.min(this.#bytes.length * 2, SECTION_BYTES)),
      );
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length = needed;
  }

  /** What lies between two offsets of the stream, not copied: it stays as it is. */
  between(from: number, to: number): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(from - this.start, to - this.start);
  }

  /** What this section and its snapshot take. */
  get weight(): number {
    return this.#bytes.length + this.snapshot.length + this.marks.length * 32;
  }
}

export interface RingOptions {
  /** The screen as it is now, as terminal bytes. */
  readonly snapshot: () => Uint8Array<ArrayBuffer>;
  readonly size: Size;
  readonly at: number;
  readonly bytes?: number;
  readonly ms?: number;
}

export class Ring {
  readonly #snapshot: () => Uint8Array<ArrayBuffer>;
  readonly #bytes: number;
  readonly #ms: number;
  readonly #sections: Section[];

  constructor(options: RingOptions) {
    this.#snapshot = options.snapshot;
    this.#bytes = options.bytes ?? HISTORY_BYTES;
    this.#ms = options.ms ?? HISTORY_MS;
    this.#sections = [new Section(0, options.at, options.size, new Uint8Array())];
  }

  /** Offset of the first byte that is kept. */
  get start(): number {
    return this.#sections[0]!.start;
  }

  /** Offset of the next byte to come. */
  get end(): number {
    return this.#last.end;
  }

  get #last(): Section {
    return this.#sections.at(-1)!;
  }

  /** Before the model has seen them: a section may begin here, with the screen as it is. */
  append(bytes: Uint8Array, at: number): void {
    let last = this.#last;
    const isFull = last.end - last.start >= Math.min(SECTION_BYTES, this.#bytes / 4);
    if (isFull || (at - last.startedAt >= SECTION_MS && last.end > last.start)) {
      last = this.#begin(last.size, at, last.end);
    }
    const mark = last.marks.at(-1);
    if (mark === undefined || at - mark.at >= GRAIN_MS) last.marks.push({ offset: last.end, at });
    last.append(bytes);
  }

  /** After the model has taken the new size. */
  resize(size: Size, at: number): void {
    const { start, end } = this.#last;
    if (end === start) this.#sections.pop();
    this.#begin(size, at, end);
  }

  #begin(size: Size, at: number, start: number): Section {
    const section = new Section(start, at, size, this.#snapshot());
    this.#sections.push(section);
    this.#trim(at);
    return section;
  }

  #trim(now: number): void {
    let weight = this.#sections.reduce((sum, section) => sum + section.weight, 0);
    while (this.#sections.length > 1) {
      const [first, second] = this.#sections as [Section, Section];
      if (weight <= this.#bytes && now - second.startedAt <= this.#ms) return;
      weight -= first.weight;
      this.#sections.shift();
    }
  }

  /** Whether the stream can be had from there on. */
  has(offset: number): boolean {
    return offset >= this.start && offset <= this.end;
  }

  /** The screen's size for what comes at `offset`. */
  sizeAt(offset: number): Size {
    return this.#sectionAt(offset).size;
  }

  /** The one that holds the byte at `offset`; the last one where the stream ends. */
  #sectionAt(offset: number): Section {
    return this.#sections.findLast(({ start }) => start <= offset) ?? this.#sections[0]!;
  }

  /**
   * What comes at `offset`, which `has()` it, up to `limit` bytes.
   *
   * @param oneTime only as much as came at the time that is told
   */
  next(offset: number, limit: number, oneTime = false): Piece {
    const section = this.#sectionAt(offset);
    const { marks, size } = section;
    const index = marks.findLastIndex((mark) => mark.offset <= offset);
    let end = Math.min(section.end, offset + limit);
    const following = marks[index + 1];
    if (oneTime && following !== undefined) end = Math.min(end, following.offset);
    const at = marks[index]?.at ?? section.startedAt;
    return { at, size, bytes: section.between(offset, end) };
  }

  /** Where the stream was at a moment, and the last snapshot before that: with its offset and its size. */
  at(moment: number): {
    readonly size: Size;
    readonly snapshot: Uint8Array<ArrayBuffer>;
    readonly start: number;
    readonly offset: number;
  } {
    const section = this.#sections.findLast(({ startedAt }) => startedAt <= moment);
    if (section === undefined) {
      const { size, snapshot, start } = this.#sections[0]!;
      return { size, snapshot, start, offset: start };
    }
    const { size, snapshot, start, end, marks } = section;
    // The first part that came after the moment begins what is shown.
    return { size, snapshot, start, offset: marks.find(({ at }) => at > moment)?.offset ?? end };
  }
}
