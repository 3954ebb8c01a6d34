// SPDX-License-Identifier: Apache-2.0

/**
 * The outbox's memory: JSON lines, only ever appended, each synced to the disk before it counts. A line
 * that a crash cut short is the last one, and was never acknowledged.
 */
import { MessagingError } from "./errors.ts";
import type { Content } from "./types.ts";

export interface Message {
  readonly txn: string;
  readonly room: string;
  readonly type: string;
  readonly content: Content;
}

type Line = { readonly put: Message } | { readonly done: string };

/** Rewritten when it is longer than this and mostly done. */
const COMPACT_BYTES = 256 * 1024;
/** Transactions that are remembered as done, so that a repeat stays free. */
const MAX_DONE = 500;

export class Journal implements Disposable {
  readonly #path: string;
  #file: Deno.FsFile;
  #bytes = 0;
  /** Appends happen one after the other. */
  #last: Promise<unknown> = Promise.resolve();
  /** In the order in which they were put. */
  readonly pending = new Map<string, Message>();
  readonly #done = new Set<string>();

  private constructor(path: string, file: Deno.FsFile) {
    this.#path = path;
    this.#file = file;
  }

  /** Reads what an earlier life left. @throws what the file system says */
  static async open(path: string): Promise<Journal> {
    await Deno.remove(`${path}.new`).catch(() => {});
    const text = await Deno.readTextFile(path).catch((thrown) => {
      if (thrown instanceof Deno.errors.NotFound) return "";
      throw thrown;
    });
    const file = await Deno.open(path, { append: true, create: true, mode: 0o600 });
    const journal = new Journal(path, file);
    for (const line of text.split("\n")) journal.#replay(line);
    await journal.#compact();
    return journal;
  }

  isDone(txn: string): boolean {
    return this.#done.has(txn);
  }

  /** Resolves when the message will survive whatever happens. */
  async put(message: Message): Promise<void> {
    // Seen at once, so that the same transaction put twice is one message.
    this.pending.set(message.txn, message);
    try {
      await this.#append({ put: message });
    } catch (thrown) {
      this.pending.delete(message.txn);
      throw new MessagingError(
        "outbox-broken",
        `Cannot keep a message for "${message.room}" in "${this.#path}"`,
        { cause: thrown, hint: "is its disk full?" },
      );
    }
  }

  /** Resolves when everything put so far is on the disk. */
  async written(): Promise<void> {
    await this.#last;
  }

  /** The message was taken, or refused for good. */
  async done(txn: string): Promise<void> {
    if (!this.pending.delete(txn)) return;
    this.#remember(txn);
    await this.#append({ done: txn });
    if (this.#bytes > COMPACT_BYTES) await this.#exclusively(() => this.#compact());
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }

  #replay(text: string): void {
    let line: Line;
    try {
      line = JSON.parse(text);
      if (typeof line !== "object" || line === null) return;
    } catch {
      return;
    }
    if ("put" in line) {
      const { txn, room, type } = line.put;
      if ([txn, room, type].every((name) => typeof name === "string")) {
        this.pending.set(txn, line.put);
      }
    } else if (typeof line.done === "string") {
      this.pending.delete(line.done);
      this.#remember(line.done);
    }
  }

  #remember(txn: string): void {
    this.#done.add(txn);
    if (this.#done.size > MAX_DONE) this.#done.delete(this.#done.values().next().value!);
  }

  #append(line: Line): Promise<void> {
    return this.#exclusively(async () => {
      // A line break first: what a full disk cut short must not swallow this line.
      const bytes = encoder.encode(`\n${JSON.stringify(line)}`);
      await writeAll(this.#file, bytes);
      await this.#file.syncData();
      this.#bytes += bytes.length;
    });
  }

  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }

  /** Writes what still matters to a new file that then takes the old one's place. */
  async #compact(): Promise<void> {
    const lines: Line[] = [
      ...[...this.#done].map((done) => ({ done })),
      ...[...this.pending.values()].map((put) => ({ put })),
    ];
    const bytes = encoder.encode(lines.map((line) => `\n${JSON.stringify(line)}`).join(""));
    const options = { append: true, createNew: true, mode: 0o600 } as const;
    const file = await Deno.open(`${this.#path}.new`, options);
    try {
      await writeAll(file, bytes);
      await file.syncData();
      await Deno.rename(`${this.#path}.new`, this.#path);
      // Without this, a power failure could bring the old file back, without what was appended since.
      using folder = await Deno.open(this.#path.replace(/[^/]*$/, "."));
      await folder.syncData();
    } catch (thrown) {
      file.close();
      await Deno.remove(`${this.#path}.new`).catch(() => {});
      throw thrown;
    }
    this.#file.close();
    this.#file = file;
    this.#bytes = bytes.length;
  }
}

const encoder = new TextEncoder();

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
}
