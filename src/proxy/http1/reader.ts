// SPDX-License-Identifier: Apache-2.0

/** Reads responses off one connection: heads, then bodies by their framing, one exchange after another. */
import type { Wire } from "../wire.ts";
import {
  type Framing,
  framingOf,
  headEnd,
  latin1,
  malformed,
  MAX_HEAD_BYTES,
  parseHead,
  type ResponseHead,
} from "./head.ts";

/** A chunk-size line with its extensions, and all trailers together, may be this long. */
const MAX_CHUNK_LINE = 4096;
const MAX_TRAILER_BYTES = 16 * 1024;
const EMPTY = new Uint8Array(0);

/** Where the decoder stands inside a body. */
type Step = "size" | "data" | "data-end" | "trailers" | "done";

export class ResponseReader {
  readonly #wire: Wire;
  #buffer: Uint8Array = EMPTY;
  #framing: Framing = { kind: "none" };
  #step: Step = "done";
  /** Bytes left of the body (length) or of the current chunk. */
  #left = 0;
  #trailerBytes = 0;
  /** True once any byte of the current response arrived: after that nothing may be retried. */
  started = false;

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  /** Whether the body was read to its end and nothing is left over: the connection can be used again. */
  get isClean(): boolean {
    return this.#step === "done" && this.#buffer.length === 0 &&
      this.#framing.kind !== "until-close";
  }

  /**
   * The next final head; interim (1xx) ones are passed over.
   *
   * @throws {ProxyError} `bad-upstream-response` when it is malformed or the connection ends first
   */
  async readHead(method: string): Promise<ResponseHead> {
    this.started = false;
    for (let interim = 0; interim < 16; interim++) {
      const head = parseHead(latin1(await this.#takeHead()));
      if (head.status === 101) throw malformed("it switches protocols, which was not asked for");
      if (head.status < 200) continue;
      this.#framing = framingOf(head, method);
      this.#left = this.#framing.kind === "length" ? this.#framing.length : 0;
      this.#trailerBytes = 0;
      this.#step = this.#framing.kind === "none"
        ? "done"
        : this.#framing.kind === "chunked"
        ? "size"
        : "data";
      return head;
    }
    throw malformed("it sends interim responses without end");
  }

  /**
   * The answer to a request that asks for another protocol: 101, or a refusal, whose body is not read.
   *
   * @throws {ProxyError} as `readHead`
   */
  async readSwitch(): Promise<ResponseHead> {
    for (let interim = 0; interim < 16; interim++) {
      const head = parseHead(latin1(await this.#takeHead()));
      if (head.status === 101 || head.status >= 200) return head;
    }
    throw malformed("it sends interim responses without end");
  }

  /** What came after the head of a 101: it belongs to the other protocol. */
  takeRest(): Uint8Array {
    const rest = this.#buffer;
    this.#buffer = EMPTY;
    return rest;
  }

  async #takeHead(): Promise<Uint8Array> {
    let searched = 0;
    while (true) {
      const end = headEnd(this.#buffer, searched);
      if (end !== -1) {
        if (end > MAX_HEAD_BYTES) break;
        const head = this.#buffer.subarray(0, end - 4);
        this.#buffer = this.#buffer.subarray(end);
        return head;
      }
      if (this.#buffer.length > MAX_HEAD_BYTES) break;
      searched = Math.max(0, this.#buffer.length - 3);
      await this.#fill("the connection ended before a whole head arrived");
    }
    throw malformed(`its head is larger than ${MAX_HEAD_BYTES} bytes`);
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
          this.#left = parseChunkSize(await this.#takeLine(MAX_CHUNK_LINE));
          this.#step = this.#left === 0 ? "trailers" : "data";
          break;
        case "trailers": {
          // Trailers are read and dropped: a proxy may, and nothing here understands one.
          const line = await this.#takeLine(MAX_CHUNK_LINE);
          this.#trailerBytes += line.length + 2;
          if (this.#trailerBytes > MAX_TRAILER_BYTES) throw malformed("its trailers are too large");
          if (line === "") this.#step = "done";
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
    const piece = this.#buffer.length > 0 ? this.#buffer : await this.#wire.read();
    this.#buffer = EMPTY;
    if (piece === null) this.#step = "done";
    return piece;
  }

  async #expectCrlf(): Promise<void> {
    while (this.#buffer.length < 2) await this.#fill("the connection ended inside its body");
    if (this.#buffer[0] !== 13 || this.#buffer[1] !== 10) throw malformed("a chunk has no end");
    this.#buffer = this.#buffer.subarray(2);
  }

  async #takeLine(limit: number): Promise<string> {
    let searched = 0;
    while (true) {
      const end = this.#buffer.indexOf(10, searched);
      if (end !== -1) {
        if (this.#buffer[end - 1] !== 13) throw malformed("a line ends without a carriage return");
        const line = latin1(this.#buffer.subarray(0, end - 1));
        this.#buffer = this.#buffer.subarray(end + 1);
        return line;
      }
      if (this.#buffer.length > limit) throw malformed("a chunk line is too long");
      searched = this.#buffer.length;
      await this.#fill("the connection ended inside its body");
    }
  }

  async #fill(whyNot: string): Promise<void> {
    const more = await this.#wire.read();
    if (more === null) throw malformed(whyNot);
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
}

/** `1*HEXDIG [chunk-ext]`; extensions are ignored, as RFC 9112 §7.1.1 wants. */
function parseChunkSize(line: string): number {
  const match = /^([0-9A-Fa-f]{1,12})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/.exec(line);
  if (match === null) throw malformed("a chunk size is not a number");
  return parseInt(match[1]!, 16);
}
