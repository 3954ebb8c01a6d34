// SPDX-License-Identifier: Apache-2.0

/** Contents of commits, by their SHA-256: each once, whole or not at all. */
import { createHash } from "node:crypto";
import { AgentServiceError } from "./errors.ts";

const NEWLINE = 10;

export interface StoredContent {
  readonly hash: string;
  readonly bytes: number;
}

export class ContentFiles {
  readonly #dir: string;
  #made = 0;

  private constructor(dir: string) {
    this.#dir = dir;
  }

  /** What an earlier life left half-written goes. */
  static async open(dir: string): Promise<ContentFiles> {
    await Deno.mkdir(dir, { recursive: true, mode: 0o700 });
    for await (const { name } of Deno.readDir(dir)) {
      if (name.startsWith(".")) await Deno.remove(`${dir}/${name}`);
    }
    return new ContentFiles(dir);
  }

  pathOf(hash: string): string {
    return `${this.#dir}/${hash.slice(0, 2)}/${hash}`;
  }

  /**
   * Takes a stream to its end: on the disk when it resolves.
   * @throws {AgentServiceError} `too-large`, `half-line`
   */
  async put(chunks: AsyncIterable<Uint8Array>, most: number): Promise<StoredContent> {
    const half = `${this.#dir}/.${++this.#made}`;
    const file = await Deno.open(half, { write: true, createNew: true, mode: 0o600 });
    const hash = createHash("sha256");
    let bytes = 0;
    let last = NEWLINE;
    try {
      for await (const chunk of chunks) {
        bytes += chunk.length;
        if (bytes > most) {
          throw new AgentServiceError("too-large", `Cannot keep more than ${most} bytes more`, {
            status: 413,
            hint: "one commit has 256 MiB at most, and an agent what its service keeps for one",
          });
        }
        hash.update(chunk);
        last = chunk.at(-1) ?? last;
        for (let at = 0; at < chunk.length;) at += await file.write(chunk.subarray(at));
      }
      if (last !== NEWLINE) {
        throw new AgentServiceError(
          "half-line",
          "Cannot keep the content: its last line has no end",
          {
            status: 400,
            hint: "contents are lines of JSON, so that those of a chain can be joined",
          },
        );
      }
      await file.sync();
      const name = hash.digest("hex");
      const dir = `${this.#dir}/${name.slice(0, 2)}`;
      await Deno.mkdir(dir, { mode: 0o700 }).catch((thrown) => {
        if (!(thrown instanceof Deno.errors.AlreadyExists)) throw thrown;
      });
      await Deno.rename(half, this.pathOf(name));
      await syncDirectory(dir);
      await syncDirectory(this.#dir);
      return { hash: name, bytes };
    } catch (thrown) {
      await Deno.remove(half).catch(() => {});
      throw thrown;
    } finally {
      file.close();
    }
  }

  async *read(hash: string): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    using file = await Deno.open(this.pathOf(hash));
    while (true) {
      const chunk = new Uint8Array(64 * 1024);
      const length = await file.read(chunk);
      if (length === null) return;
      yield chunk.subarray(0, length);
    }
  }

  async remove(hash: string): Promise<void> {
    await Deno.remove(this.pathOf(hash)).catch((thrown) => {
      if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
    });
  }

  /** Put there, for the last time, before that moment. */
  async *olderThan(ms: number): AsyncGenerator<string> {
    for await (const { name, isDirectory } of Deno.readDir(this.#dir)) {
      if (!isDirectory) continue;
      for await (const { name: hash } of Deno.readDir(`${this.#dir}/${name}`)) {
        const { mtime } = await Deno.stat(this.pathOf(hash));
        if (mtime !== null && mtime.getTime() < ms) yield hash;
      }
    }
  }
}

/** A renamed file is there after a power failure. */
async function syncDirectory(path: string): Promise<void> {
  using dir = await Deno.open(path);
  await dir.sync();
}
