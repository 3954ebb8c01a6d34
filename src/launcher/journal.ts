// SPDX-License-Identifier: Apache-2.0

/** What a principal was made from, on disk before it is made, so that a killed launcher can go on. */
import * as z from "zod/mini";
import type { ProxyPolicy } from "../lib/schema/mod.ts";
import { CreateRequest, ExitStatus } from "./api.ts";
import { LauncherError } from "./errors.ts";
import { readIfThere, removeIfThere, writeAtomic } from "./files.ts";

const JournalEntry = z.object({
  version: z.literal(1),
  principal: z.string(),
  hash: z.string(),
  request: CreateRequest,
  /** The last good spec, which was made in the place of the request's. */
  instead: z.optional(CreateRequest),
  started_at: z.number(),
  exit: z.nullable(ExitStatus),
});
export type JournalEntry = z.infer<typeof JournalEntry>;

export class Journal {
  readonly #dir: string;
  #changes: Promise<unknown> = Promise.resolve();

  /** @param stateDir `<state>/launcher` */
  constructor(stateDir: string) {
    this.#dir = stateDir;
  }

  async open(): Promise<void> {
    for (const name of ["journal", "seen"]) {
      await Deno.mkdir(`${this.#dir}/${name}`, { recursive: true, mode: 0o700 });
    }
  }

  write(entry: JournalEntry): Promise<void> {
    return writeAtomic(`${this.#dir}/journal/${entry.hash}.json`, JSON.stringify(entry));
  }

  /** Records the exit of an entry that is still there. */
  writeExit(hash: string, startedAt: number, exit: ExitStatus): Promise<void> {
    return this.#change(hash, startedAt, (entry) => ({ ...entry, exit }));
  }

  /** What runs has a newer assignment. @param made what runs, with the credentials it has now */
  writeRequest(
    hash: string,
    startedAt: number,
    request: CreateRequest,
    made: CreateRequest,
  ): Promise<void> {
    return this.#change(hash, startedAt, (entry) => ({
      ...entry,
      request,
      ...(entry.instead === undefined ? {} : { instead: made }),
    }));
  }

  /** See `keepRights`. */
  writeRights(hash: string, startedAt: number, { grants, denials }: ProxyPolicy): Promise<void> {
    const rights = { grants: [...grants], denials: [...denials] };
    return this.#change(hash, startedAt, (entry) => ({
      ...entry,
      request: { ...entry.request, ...rights },
      ...(entry.instead === undefined ? {} : { instead: { ...entry.instead, ...rights } }),
    }));
  }

  /** One after the other: an end may come while a newer assignment is written. */
  #change(
    hash: string,
    startedAt: number,
    change: (entry: JournalEntry) => JournalEntry,
  ): Promise<void> {
    const mine = this.#changes.then(() => this.#merge(hash, startedAt, change));
    this.#changes = mine.catch(() => {});
    return mine;
  }

  async #merge(
    hash: string,
    startedAt: number,
    change: (entry: JournalEntry) => JournalEntry,
  ): Promise<void> {
    const text = await readIfThere(`${this.#dir}/journal/${hash}.json`);
    if (text === null) return;
    const entry = z.parse(JournalEntry, JSON.parse(text));
    // Of a later start: this is not about it.
    if (entry.started_at !== startedAt) return;
    await this.write(change(entry));
  }

  remove(hash: string): Promise<void> {
    return removeIfThere(`${this.#dir}/journal/${hash}.json`);
  }

  /** Entries that can be read; an unreadable one is reported, its cell is then nobody's and is destroyed. */
  async list(onBroken: (file: string) => void): Promise<JournalEntry[]> {
    const entries: JournalEntry[] = [];
    for await (const file of Deno.readDir(`${this.#dir}/journal`)) {
      if (!file.name.endsWith(".json")) continue;
      try {
        const text = await Deno.readTextFile(`${this.#dir}/journal/${file.name}`);
        entries.push(z.parse(JournalEntry, JSON.parse(text)));
      } catch {
        onBroken(file.name);
        await removeIfThere(`${this.#dir}/journal/${file.name}`);
      }
    }
    return entries;
  }

  /**
   * The newest `issued_at` ever accepted for a principal; kept after its removal, against replay.
   *
   * @throws {LauncherError} `seen-damaged`: a file that was cut off must not mean "anything goes"
   */
  async newest(hash: string): Promise<number> {
    const path = `${this.#dir}/seen/${hash}`;
    const text = await readIfThere(path);
    if (text === null) return 0;
    const value = /^\d{1,16}\s*$/.test(text) ? Number(text) : NaN;
    if (Number.isSafeInteger(value)) return value;
    throw damaged(path, "assignments");
  }

  /** As `newest`, of each credential. @throws {LauncherError} `seen-damaged` */
  async newestCredentials(hash: string): Promise<Readonly<Record<string, number>>> {
    const path = `${this.#dir}/seen/${hash}.credentials`;
    const text = await readIfThere(path);
    if (text === null) return {};
    try {
      return z.parse(z.record(z.string(), z.int()), JSON.parse(text));
    } catch {
      throw damaged(path, "credentials");
    }
  }

  /** @param issued names that are not among them keep what was seen */
  async seeCredentials(hash: string, issued: Readonly<Record<string, number>>): Promise<void> {
    const before = await this.newestCredentials(hash);
    const isNews = Object.entries(issued).some(([name, at]) => at > (before[name] ?? 0));
    if (!isNews) return;
    const after = JSON.stringify({ ...before, ...issued });
    await writeAtomic(`${this.#dir}/seen/${hash}.credentials`, after);
  }

  see(hash: string, issuedAt: number): Promise<void> {
    return writeAtomic(`${this.#dir}/seen/${hash}`, String(issuedAt));
  }
}

function damaged(path: string, what: string): LauncherError {
  return new LauncherError(
    "seen-damaged",
    `Cannot tell old ${what} from new ones: "${path}" is damaged`,
    { status: 503, hint: `if no older ones can come back, remove it: rm "${path}"` },
  );
}
