// SPDX-License-Identifier: Apache-2.0

/**
 * Where the host's workers are: for each a directory in which it meets the host, which its sandbox alone sees besides, and
 * one for the sockets of its network. Their names are few and fixed, for a process is granted each of its sockets.
 */
import { type Clock, systemClock } from "../../lib/clock.ts";
import { MAX_WORKERS } from "./api.ts";
import { HostError } from "./errors.ts";

export interface Place {
  /** `child_id` of whoever is there. */
  readonly id: string;
  readonly fabricDir: string;
  readonly socketDir: string;
}

export class Places {
  /** Also of their workers' own. */
  readonly dir: string;
  readonly #taken = new Set<string>();

  constructor(dir: string) {
    this.dir = dir;
  }

  get free(): number {
    return MAX_WORKERS - this.#taken.size;
  }

  /** @throws {HostError} `too-many` */
  async take(): Promise<Place> {
    const id = IDS.find((each) => !this.#taken.has(each));
    if (id === undefined) throw tooMany();
    this.#taken.add(id);
    const place = this.#place(id);
    try {
      await remove(place);
      for (const dir of [place.fabricDir, place.socketDir]) await Deno.mkdir(dir, { mode: 0o700 });
      return place;
    } catch (thrown) {
      this.#taken.delete(id);
      throw thrown;
    }
  }

  /** What can't be removed is looked at again by the next who takes it. */
  async leave(place: Place): Promise<void> {
    await remove(place).catch(() => {});
    this.#taken.delete(place.id);
  }

  /** What a host that was killed has left, of its workers and of theirs. */
  async clear(): Promise<void> {
    for await (const { name, isDirectory } of Deno.readDir(this.dir)) {
      if (isDirectory) await removeWhole(`${this.dir}/${name}`);
    }
  }

  #place(id: string): Place {
    return { id, fabricDir: `${this.dir}/${id}`, socketDir: `${this.dir}/${id}.net` };
  }
}

const IDS = Array.from({ length: MAX_WORKERS }, (_, n) => `w${n}`);

export const tooMany = () =>
  new HostError(
    "too-many",
    `Cannot spawn a worker: the host holds ${MAX_WORKERS} at most`,
    "`bureau worker stop` ends one",
  );

async function remove({ fabricDir, socketDir }: Place): Promise<void> {
  await Promise.all([fabricDir, socketDir].map((dir) => removeWhole(dir)));
}

/** Something that was killed a moment ago may still make a file in it. */
const ENDING_MS = 10_000;
const LOOK_AGAIN_MS = 20;

/** Idempotent. */
export async function removeWhole(dir: string, clock: Clock = systemClock): Promise<void> {
  for (const deadline = clock.now() + ENDING_MS;;) {
    try {
      return await Deno.remove(dir, { recursive: true });
    } catch (thrown) {
      if (thrown instanceof Deno.errors.NotFound) return;
      if (clock.now() > deadline) throw thrown;
      await clock.sleep(LOOK_AGAIN_MS);
    }
  }
}
