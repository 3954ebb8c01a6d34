// SPDX-License-Identifier: Apache-2.0
import * as z from "zod/mini";
import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";

export interface StateFile<T> {
  /** Missing: as if nothing had ever been written. Unreadable or damaged: the same, and logged. */
  load(): Promise<T>;
  /**
   * Takes what it is now; the newest wins. Never throws.
   * @returns resolves when this or a newer one is on disk, or could not be written, which is logged
   */
  save(state: T): Promise<void>;
}

export interface StateFileOptions<T> {
  readonly path: string;
  readonly schema: z.ZodMiniType<T>;
  readonly empty: () => T;
  /** What is in it, to begin a sentence with: "egress decisions". */
  readonly what: string;
  /** What follows from a failed write: "they end with this daemon". */
  readonly unwritten: string;
  readonly log: Logger;
}

/** A small JSON document of the daemon's own, replaced as a whole: a kill leaves the old one or the new one. */
export function stateFile<T>(options: StateFileOptions<T>): StateFile<T> {
  const { path, schema, empty, what, unwritten, log } = options;
  let waiting: string | null = null;
  let writing: Promise<void> | null = null;

  async function drain(): Promise<void> {
    while (waiting !== null) {
      const text = waiting;
      waiting = null;
      try {
        await Deno.writeTextFile(`${path}.new`, text, { mode: 0o600 });
        await Deno.rename(`${path}.new`, path);
      } catch (thrown) {
        log.error(`${what}: not written, ${unwritten}`, { why: messageOf(thrown) });
      }
    }
    writing = null;
  }

  return {
    async load() {
      try {
        return z.parse(schema, JSON.parse(await Deno.readTextFile(path)));
      } catch (thrown) {
        if (!(thrown instanceof Deno.errors.NotFound)) {
          log.error(`${what}: not readable, and forgotten`, { why: messageOf(thrown) });
        }
        return empty();
      }
    },
    save(state) {
      waiting = JSON.stringify(state);
      return writing ??= drain();
    },
  };
}
