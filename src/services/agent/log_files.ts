// SPDX-License-Identifier: Apache-2.0

/** Logs of sessions: a file each, of which as much counts as the index says. */
import { createHash } from "node:crypto";

export class LogFiles {
  readonly #dir: string;

  private constructor(dir: string) {
    this.#dir = dir;
  }

  static async open(dir: string): Promise<LogFiles> {
    await Deno.mkdir(dir, { recursive: true, mode: 0o700 });
    return new LogFiles(dir);
  }

  /** Any text is a session's name. */
  static nameOf(agent: string, session: string): string {
    return createHash("sha256").update(`${agent}\0${session}`).digest("hex");
  }

  #path(agent: string, session: string): string {
    return `${this.#dir}/${LogFiles.nameOf(agent, session)}.jsonl`;
  }

  /** Writes from `at` on, over whatever a piece left that was never counted. On the disk when it resolves. */
  async write(agent: string, session: string, at: number, bytes: Uint8Array): Promise<void> {
    using file = await Deno.open(this.#path(agent, session), {
      ...{ read: true, write: true, create: true, mode: 0o600 },
    });
    await file.seek(at, Deno.SeekMode.Start);
    for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
    await file.syncData();
  }

  async *read(
    agent: string,
    session: string,
    from: number,
    until: number,
  ): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    if (from >= until) return;
    using file = await Deno.open(this.#path(agent, session));
    await file.seek(from, Deno.SeekMode.Start);
    for (let left = until - from; left > 0;) {
      const chunk = new Uint8Array(Math.min(left, 64 * 1024));
      const length = await file.read(chunk);
      if (length === null) return;
      left -= length;
      yield chunk.subarray(0, length);
    }
  }

  async remove(agent: string, session: string): Promise<void> {
    await Deno.remove(this.#path(agent, session)).catch((thrown) => {
      if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
    });
  }
}
