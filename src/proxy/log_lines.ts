// SPDX-License-Identifier: Apache-2.0

/**
 * Lines for a log that nobody waits for: kept in a small buffer, written behind the requests' back, and
 * counted instead of kept when whoever reads them does not keep up.
 */

/** Some thousand lines; then the next are dropped. */
const MAX_WAITING = 2048;
/** A pipe takes so much in one piece, so lines of other writers never get in between (PIPE_BUF). */
const MAX_WRITE_BYTES = 4096;

/** Over a minute; a burst may be longer. An agent in a loop must not push everybody else's lines out of the log. */
const LINES_PER_SECOND = 100;
const BURST = 3_000;

export type WriteBytes = (bytes: Uint8Array) => Promise<number>;

export class LogLines {
  readonly #write: WriteBytes;
  readonly #waiting: string[] = [];
  readonly #now: () => number;
  readonly #perSecond: number;
  #isWriting = false;
  /** Lines that may be written now. */
  #credit = BURST;
  #creditAt: number;
  /** Lines that found no room. */
  dropped = 0;

  /** @param now milliseconds of any clock that goes forward */
  constructor(
    write: WriteBytes = (bytes) => Deno.stderr.write(bytes),
    perSecond = LINES_PER_SECOND,
    now: () => number = () => performance.now(),
  ) {
    this.#write = write;
    this.#perSecond = perSecond;
    this.#now = now;
    this.#creditAt = now();
  }

  /** Whether the rate allows one more line. */
  #takeCredit(): boolean {
    if (this.#credit < 1) {
      const now = this.#now();
      const earned = (now - this.#creditAt) / 1000 * this.#perSecond;
      this.#credit = Math.min(BURST, this.#credit + earned);
      this.#creditAt = now;
    }
    if (this.#credit < 1) return false;
    this.#credit--;
    return true;
  }

  /** @param line without its end; longer than one write: dropped */
  push(line: string): void {
    if (
      this.#waiting.length >= MAX_WAITING || line.length >= MAX_WRITE_BYTES / 3 ||
      !this.#takeCredit()
    ) {
      this.dropped++;
      return;
    }
    this.#waiting.push(line);
    if (this.#isWriting) return;
    this.#isWriting = true;
    // What the same turn brings is written together.
    queueMicrotask(() => void this.#drain());
  }

  async #drain(): Promise<void> {
    const encoder = new TextEncoder();
    let count = 0;
    try {
      while (this.#waiting.length > 0) {
        let text = "";
        count = 0;
        for (const line of this.#waiting) {
          // Three bytes a character at most, so this needs no measuring of bytes.
          if (count > 0 && (text.length + line.length + 1) * 3 > MAX_WRITE_BYTES) break;
          text += `${line}\n`;
          count++;
        }
        this.#waiting.splice(0, count);
        const bytes = encoder.encode(text);
        for (let at = 0; at < bytes.length;) at += await this.#write(bytes.subarray(at));
      }
    } catch {
      // A closed stderr must not end a process that is otherwise healthy.
      this.dropped += count + this.#waiting.length;
      this.#waiting.length = 0;
    } finally {
      this.#isWriting = false;
    }
  }
}
