// SPDX-License-Identifier: Apache-2.0

/** One file of a recording while it is written, and how a closed one is compressed. */
import { type CastCode, type CastHeader, eventLine, headerLine } from "../../lib/recording/mod.ts";
import type { Recorded } from "./redactor.ts";

/** For the daemon, which is in the launcher's group. */
const MODE = 0o640;
/** Of what is compressed at once: the relay echoes keys meanwhile. */
const CHUNK = 32 * 1024;

const encoder = new TextEncoder();

export class Part {
  readonly id: string;
  readonly #file: Deno.FsFile;
  /** A character whose end comes with the next output. */
  readonly #decoder = new TextDecoder();
  #at: number;
  #text = "";
  #output: { at: number; text: string } | null = null;
  #written = 0;
  #hasOutput = false;

  private constructor(id: string, file: Deno.FsFile, header: CastHeader) {
    this.id = id;
    this.#file = file;
    this.#at = header.startedAt;
    this.#text = headerLine(header);
  }

  /** @param dir where it is made @throws what the disk says */
  static async create(dir: string, id: string, header: CastHeader): Promise<Part> {
    const path = `${dir}/${id}.cast`;
    const file = await Deno.open(path, { write: true, createNew: true, mode: MODE });
    try {
      // The process's umask lets nobody else in.
      await Deno.chmod(path, MODE);
      return new Part(id, file, header);
    } catch (thrown) {
      file.close();
      throw thrown;
    }
  }

  add(item: Recorded): void {
    if (!("bytes" in item)) {
      this.#endOutput();
      return this.#line(item.at, item.code, item.data);
    }
    const text = this.#decoder.decode(this.#whole(item.bytes), { stream: true });
    if (text === "") return;
    // What comes at one moment is one event.
    if (this.#output?.at === item.at) this.#output.text += text;
    else {
      this.#endOutput();
      this.#output = { at: item.at, text };
    }
  }

  /** The end of a character that began in the part before is no character. */
  #whole(bytes: Uint8Array): Uint8Array {
    if (this.#hasOutput) return bytes;
    const first = bytes.findIndex((byte) => (byte & 0xc0) !== 0x80);
    this.#hasOutput = first >= 0;
    return first < 0 ? new Uint8Array() : bytes.subarray(first);
  }

  #endOutput(): void {
    if (this.#output === null) return;
    this.#line(this.#output.at, "o", this.#output.text);
    this.#output = null;
  }

  #line(at: number, code: CastCode, data: string): void {
    // A clock that was set back does not make time go backwards.
    const then = Math.max(at, this.#at);
    this.#text += eventLine(then - this.#at, code, data);
    this.#at = then;
  }

  /** Bytes on disk. */
  get size(): number {
    return this.#written;
  }

  /** Puts all of it on disk. @throws what the disk says */
  async write(): Promise<void> {
    this.#endOutput();
    let bytes: Uint8Array = encoder.encode(this.#text);
    this.#text = "";
    while (bytes.length > 0) {
      const count = await this.#file.write(bytes);
      this.#written += count;
      bytes = bytes.subarray(count);
    }
  }

  close(): void {
    this.#file.close();
  }
}

/**
 * Puts the compressed one, with the same times, in the place of the plain one. Killed at any moment, one of
 * them is there whole.
 */
export async function compressPart(dir: string, id: string): Promise<void> {
  const [plain, packed] = [`${dir}/${id}.cast`, `${dir}/${id}.cast.gz`];
  const { mtime } = await Deno.stat(plain);
  const fresh = `${packed}.new`;
  const out = await Deno.open(fresh, { write: true, create: true, truncate: true, mode: MODE });
  try {
    await Deno.chmod(fresh, MODE);
    await ReadableStream.from(piecesOf(plain)).pipeThrough(new CompressionStream("gzip")).pipeTo(
      out.writable,
    );
    if (mtime !== null) await Deno.utime(fresh, mtime, mtime);
    await Deno.rename(fresh, packed);
  } catch (thrown) {
    await Deno.remove(fresh).catch(() => {});
    throw thrown;
  }
  await Deno.remove(plain);
}

/** Without a last line that was cut off. */
async function* piecesOf(path: string): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  using file = await Deno.open(path);
  let rest: Uint8Array<ArrayBuffer> = new Uint8Array();
  while (true) {
    const chunk = new Uint8Array(CHUNK);
    const count = await file.read(chunk);
    if (count === null) return;
    const end = chunk.subarray(0, count).lastIndexOf(0x0a) + 1;
    const whole = new Uint8Array(end === 0 ? 0 : rest.length + end);
    if (end > 0) {
      whole.set(rest);
      whole.set(chunk.subarray(0, end), rest.length);
      yield whole;
      rest = chunk.slice(end, count);
    } else {
      const longer = new Uint8Array(rest.length + count);
      longer.set(rest);
      longer.set(chunk.subarray(0, count), rest.length);
      rest = longer;
    }
  }
}
