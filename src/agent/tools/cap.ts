// SPDX-License-Identifier: Apache-2.0

/** Text that may be of any length, kept within a few pages. */

/** Of what a tool gives back; about 8,000 tokens. */
export const MAX_OUTPUT_CHARS = 32_000;

/** The beginning and the end, with a word about what was between. */
export function capped(text: string, most = MAX_OUTPUT_CHARS): string {
  if (text.length <= most) return text;
  const half = Math.floor(most / 2);
  const left = text.length - 2 * half;
  return `${text.slice(0, half)}\n… (${left} characters left out) …\n${text.slice(-half)}`;
}

/** Keeps the beginning and the end of a stream, whatever comes: never more than `most` bytes. */
export class HeadAndTail {
  readonly #most: number;
  #head = new Uint8Array(0);
  #tail: Uint8Array[] = [];
  #tailBytes = 0;
  #total = 0;

  constructor(most: number) {
    this.#most = most;
  }

  add(chunk: Uint8Array): void {
    this.#total += chunk.length;
    const half = this.#most / 2;
    const room = Math.max(0, half - this.#head.length);
    if (room > 0) {
      const joined = new Uint8Array(this.#head.length + Math.min(room, chunk.length));
      joined.set(this.#head);
      joined.set(chunk.subarray(0, room), this.#head.length);
      this.#head = joined;
    }
    const rest = chunk.slice(room);
    if (rest.length === 0) return;
    this.#tail.push(rest);
    this.#tailBytes += rest.length;
    while (this.#tailBytes - this.#tail[0]!.length >= half) {
      this.#tailBytes -= this.#tail.shift()!.length;
    }
  }

  text(): string {
    const tail = new Uint8Array(this.#tailBytes);
    let at = 0;
    for (const chunk of this.#tail) {
      tail.set(chunk, at);
      at += chunk.length;
    }
    const kept = tail.subarray(Math.max(0, tail.length - this.#most / 2));
    const left = this.#total - this.#head.length - kept.length;
    const decoder = new TextDecoder();
    if (left === 0) {
      const whole = new Uint8Array(this.#head.length + kept.length);
      whole.set(this.#head);
      whole.set(kept, this.#head.length);
      return decoder.decode(whole);
    }
    return `${decoder.decode(this.#head)}\n… (${left} bytes left out) …\n${decoder.decode(kept)}`;
  }
}
