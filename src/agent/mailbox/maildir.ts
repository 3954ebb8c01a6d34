// SPDX-License-Identifier: Apache-2.0

/**
 * A mailbox on disk: anybody of this user may leave messages, at one time and without a lock; one reader takes them, in
 * the order in which they came. A kill at any moment loses none that `deliver()` has returned for; the reader may see one
 * again.
 */
import * as z from "zod/mini";
import { MailError } from "./errors.ts";
import { MailMessage, MAX_MESSAGE_BYTES } from "./message.ts";

/** `<nanoseconds since the epoch, 20 digits>-<uuid>.json`: the names' order is the messages'. */
const NAME = /^\d{20}-[0-9a-f-]{36}\.json$/;

/** One message that was taken and not acknowledged yet. */
export interface Mail {
  /** Of its file: what `ack` takes. */
  readonly name: string;
  readonly message: MailMessage;
}

export interface MailboxOptions {
  /** Messages that wait; more are refused. */
  readonly maxWaiting?: number;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

let last = 0n;

/** Later than every one before, of this process. */
function stamp(now: number): string {
  const time = BigInt(Math.trunc(now)) * 1_000_000n;
  last = time > last ? time : last + 1n;
  return last.toString().padStart(20, "0");
}

export class Mailbox {
  readonly #dir: string;
  readonly #maxWaiting: number;
  readonly #now: () => number;

  private constructor(dir: string, { maxWaiting = 10_000, now = Date.now }: MailboxOptions) {
    this.#dir = dir;
    this.#maxWaiting = maxWaiting;
    this.#now = now;
  }

  /** @param dir absolute; made where it is missing */
  static async open(dir: string, options: MailboxOptions = {}): Promise<Mailbox> {
    for (const part of ["tmp", "new", "cur", "corrupt"]) {
      await Deno.mkdir(`${dir}/${part}`, { recursive: true, mode: 0o700 });
    }
    return new Mailbox(dir, options);
  }

  /**
   * Resolves when it is on disk.
   * @throws {MailError} `too-large`, `mailbox-full`
   */
  async deliver(message: MailMessage): Promise<void> {
    const bytes = new TextEncoder().encode(JSON.stringify(message));
    if (bytes.length > MAX_MESSAGE_BYTES) {
      throw new MailError("too-large", `Cannot deliver: over ${MAX_MESSAGE_BYTES} bytes`, {
        status: 413,
      });
    }
    if ((await this.#names("new")).length >= this.#maxWaiting) {
      throw new MailError("mailbox-full", `Cannot deliver: ${this.#maxWaiting} wait already`, {
        status: 429,
        hint: "its reader is not there, or slow",
      });
    }
    const name = `${stamp(this.#now())}-${crypto.randomUUID()}.json`;
    const temporary = `${this.#dir}/tmp/${name}`;
    try {
      using file = await Deno.open(temporary, { write: true, createNew: true, mode: 0o600 });
      await write(file, bytes);
      await file.sync();
    } catch (thrown) {
      await Deno.remove(temporary).catch(() => {});
      throw thrown;
    }
    await Deno.rename(temporary, `${this.#dir}/new/${name}`);
    await syncDirectory(`${this.#dir}/new`);
  }

  /** Takes what waits, oldest first; at most so many. What can't be read is put aside into `corrupt/`. */
  async drain(most = Infinity): Promise<Mail[]> {
    const taken: Mail[] = [];
    for (const name of await this.#names("new")) {
      if (taken.length >= most) break;
      const from = `${this.#dir}/new/${name}`;
      // Another reader of this mailbox was faster.
      if (!await moved(from, `${this.#dir}/cur/${name}`)) continue;
      const mail = await this.#read(name);
      if (mail !== null) taken.push(mail);
    }
    return taken;
  }

  /** What an earlier reader took and never acknowledged, oldest first. */
  async recover(): Promise<Mail[]> {
    const mails: Mail[] = [];
    for (const name of await this.#names("cur")) {
      const mail = await this.#read(name);
      if (mail !== null) mails.push(mail);
    }
    return mails;
  }

  /** It is dealt with. Twice is once. @param name of a `Mail` */
  async ack(name: string): Promise<void> {
    if (!NAME.test(name)) return;
    await Deno.remove(`${this.#dir}/cur/${name}`).catch(ifThere);
  }

  async #read(name: string): Promise<Mail | null> {
    const path = `${this.#dir}/cur/${name}`;
    try {
      const { size, isFile } = await Deno.lstat(path);
      if (!isFile || size > MAX_MESSAGE_BYTES) throw new Error("no message");
      const text = new TextDecoder("utf-8", { fatal: true }).decode(await Deno.readFile(path));
      return { name, message: z.parse(MailMessage, JSON.parse(text)) };
    } catch (thrown) {
      if (thrown instanceof Deno.errors.NotFound) return null;
      await moved(path, `${this.#dir}/corrupt/${name}`);
      return null;
    }
  }

  async #names(part: "new" | "cur"): Promise<string[]> {
    const names: string[] = [];
    for await (const { name } of Deno.readDir(`${this.#dir}/${part}`)) {
      if (NAME.test(name)) names.push(name);
    }
    return names.sort();
  }
}

async function write(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
}

/** So that the name itself is on disk. */
async function syncDirectory(path: string): Promise<void> {
  using directory = await Deno.open(path, { read: true });
  await directory.sync();
}

async function moved(from: string, to: string): Promise<boolean> {
  return await Deno.rename(from, to).then(() => true, (thrown) => {
    ifThere(thrown);
    return false;
  });
}

function ifThere(thrown: unknown): void {
  if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
}
