// SPDX-License-Identifier: Apache-2.0

/** Reads messages off one connection, requests or responses: heads, then bodies by their framing. */
import type { ProxyError } from "../errors.ts";
import type { Wire } from "../wire.ts";
import { type Framing, headEnd, latin1, parseField } from "./head.ts";

/** A chunk-size line with its extensions, and all trailers together, may be this long. */
const MAX_CHUNK_LINE = 4096;
const MAX_TRAILER_BYTES = 16 * 1024;
const EMPTY = new Uint8Array(0);

/** Where the decoder stands inside a body. */
type Step = "size" | "data" | "data-end" | "trailers" | "done";

export class MessageReader {
  readonly #wire: Wire;
  readonly #malformed: (why: string) => ProxyError;
  readonly #maxHeadBytes: number;
  #buffer: Uint8Array = EMPTY;
  /** A read that was begun while nothing was expected. */
  #ahead: Promise<Uint8Array | null> | null = null;
  #framing: Framing = { kind: "none" };
  #step: Step = "done";
  /** Bytes left of the body (length) or of the current chunk. */
  #left = 0;
  #trailerBytes = 0;
  #trailers: [string, string][] = [];
  /** True once any byte of the current message arrived. */
  started = false;

  /** @param malformed says what is wrong with a message of this kind */
  constructor(wire: Wire, maxHeadBytes: number, malformed: (why: string) => ProxyError) {
    this.#wire = wire;
    this.#maxHeadBytes = maxHeadBytes;
    this.#malformed = malformed;
  }

  /** Fields after the body, once it was read to its end: in order, names in lower case. */
  get trailers(): readonly (readonly [string, string])[] {
    return this.#trailers;
  }

  /** Whether the body was read to its end. */
  get isComplete(): boolean {
    return this.#step === "done";
  }

  /** Whether the body was read to its end and nothing is left over: the connection can be used again. */
  get isClean(): boolean {
    return this.isComplete && this.#buffer.length === 0 && this.#framing.kind !== "until-close";
  }

  /** From here on a body of this framing is read. */
  protected begin(framing: Framing): void {
    this.#framing = framing;
    this.#left = framing.kind === "length" ? framing.length : 0;
    this.#trailerBytes = 0;
    this.#trailers = [];
    this.#step = framing.kind === "none" ? "done" : framing.kind === "chunked" ? "size" : "data";
  }

  /** What came after the last message: it belongs to another protocol. */
  takeRest(): Uint8Array {
    const rest = this.#buffer;
    this.#buffer = EMPTY;
    return rest;
  }

  /**
   * Watches the connection while no message is read from it. What arrives meanwhile is kept for later.
   *
   * @param onEnd called when the other side has ended it
   */
  watchEnd(onEnd: () => void): void {
    if (this.#ahead !== null) return;
    this.#ahead = this.#wire.read();
    this.#ahead.then((bytes) => bytes === null && onEnd(), onEnd);
  }

  /** Whether the other side ended the connection without beginning a message. */
  protected async ended(): Promise<boolean> {
    if (this.#buffer.length > 0) return false;
    const more = await this.#next();
    if (more === null) return true;
    this.#buffer = more;
    this.started = true;
    return false;
  }

  #next(): Promise<Uint8Array | null> {
    const ahead = this.#ahead;
    this.#ahead = null;
    return ahead ?? this.#wire.read();
  }

  protected async takeHead(): Promise<Uint8Array> {
    let searched = 0;
    while (true) {
      const end = headEnd(this.#buffer, searched);
      if (end !== -1) {
        if (end > this.#maxHeadBytes) break;
        const head = this.#buffer.subarray(0, end - 4);
        this.#buffer = this.#buffer.subarray(end);
        return head;
      }
      if (this.#buffer.length > this.#maxHeadBytes) break;
      searched = Math.max(0, this.#buffer.length - 3);
      await this.#fill("the connection ended before a whole head arrived");
    }
    throw this.#malformed(`its head is larger than ${this.#maxHeadBytes} bytes`);
  }

  /** The whole body when it is already here and short: spares small responses a stream. Else null. */
  takeBuffered(limit: number): Uint8Array<ArrayBuffer> | null {
    if (this.#framing.kind === "none") return EMPTY as Uint8Array<ArrayBuffer>;
    if (this.#framing.kind !== "length" || this.#left > limit || this.#buffer.length < this.#left) {
      return null;
    }
    const body = this.#buffer.slice(0, this.#left) as Uint8Array<ArrayBuffer>;
    this.#buffer = this.#buffer.subarray(this.#left);
    this.#left = 0;
    this.#step = "done";
    return body;
  }

  /**
   * The next piece of the body, or null after the last.
   *
   * @throws {ProxyError} when the connection ends inside the body or its framing is broken
   */
  async readBody(): Promise<Uint8Array | null> {
    while (true) {
      switch (this.#step) {
        case "done":
          return null;
        case "data": {
          if (this.#framing.kind === "until-close") return await this.#untilClose();
          if (this.#buffer.length === 0) await this.#fill("the connection ended inside its body");
          return this.#takeData();
        }
        case "data-end":
          await this.#expectCrlf();
          this.#step = "size";
          break;
        case "size":
          this.#left = this.#chunkSize(await this.#takeLine(MAX_CHUNK_LINE));
          this.#step = this.#left === 0 ? "trailers" : "data";
          break;
        case "trailers": {
          const line = await this.#takeLine(MAX_CHUNK_LINE);
          this.#trailerBytes += line.length + 2;
          if (this.#trailerBytes > MAX_TRAILER_BYTES) {
            throw this.#malformed("its trailers are too large");
          }
          if (line === "") {
            this.#step = "done";
            break;
          }
          const field = parseField(line);
          if (field === null) throw this.#malformed("it has a malformed trailer line");
          this.#trailers.push(field);
          break;
        }
      }
    }
  }

  #takeData(): Uint8Array {
    const piece = this.#buffer.length <= this.#left
      ? this.#buffer
      : this.#buffer.subarray(0, this.#left);
    this.#buffer = this.#buffer.subarray(piece.length);
    this.#left -= piece.length;
    if (this.#left === 0) this.#step = this.#framing.kind === "chunked" ? "data-end" : "done";
    return piece;
  }

  async #untilClose(): Promise<Uint8Array | null> {
    const piece = this.#buffer.length > 0 ? this.#buffer : await this.#next();
    this.#buffer = EMPTY;
    if (piece === null) this.#step = "done";
    return piece;
  }

  async #expectCrlf(): Promise<void> {
    while (this.#buffer.length < 2) await this.#fill("the connection ended inside its body");
    if (this.#buffer[0] !== 13 || this.#buffer[1] !== 10) {
      throw this.#malformed("a chunk has no end");
    }
    this.#buffer = this.#buffer.subarray(2);
  }

  async #takeLine(limit: number): Promise<string> {
    let searched = 0;
    while (true) {
      const end = this.#buffer.indexOf(10, searched);
      if (end !== -1) {
        if (this.#buffer[end - 1] !== 13) {
          throw this.#malformed("a line ends without a carriage return");
        }
        const line = latin1(this.#buffer.subarray(0, end - 1));
        this.#buffer = this.#buffer.subarray(end + 1);
        return line;
      }
      if (this.#buffer.length > limit) throw this.#malformed("a chunk line is too long");
      searched = this.#buffer.length;
      await this.#fill("the connection ended inside its body");
    }
  }

  async #fill(whyNot: string): Promise<void> {
    const more = await this.#next();
    if (more === null) throw this.#malformed(whyNot);
    this.started = true;
    if (this.#buffer.length === 0) {
      this.#buffer = more;
      return;
    }
    const joined = new Uint8Array(this.#buffer.length + more.length);
    joined.set(this.#buffer);
    joined.set(more, this.#buffer.length);
    this.#buffer = joined;
  }

  /** `1*HEXDIG [chunk-ext]`; extensions are ignored, as RFC 9112 §7.1.1 wants. */
  #chunkSize(line: string): number {
    const match = /^([0-9A-Fa-f]{1,12})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/.exec(line);
    if (match === null) throw this.#malformed("a chunk size is not a number");
    return parseInt(match[1]!, 16);
  }
}
