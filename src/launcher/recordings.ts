// SPDX-License-Identifier: Apache-2.0

/**
 * Where relays write what terminals showed: `<state>/recordings/<hash>`, which outlives its principal. The
 * relay of one that runs keeps it small; of those that are gone this does.
 */
import type { Clock } from "../lib/clock.ts";
import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import {
  listRecordings,
  OWNER_FILE,
  ownerText,
  pruneRecordings,
  readOwner,
} from "../lib/recording/mod.ts";
import { type Recording, recordingLimits } from "../lib/schema/recording.ts";
import { removeIfThere, writeAtomic } from "./files.ts";

/** In the relay's cell. */
export const RECORDINGS_IN_CELL = "/run/bureau/recordings";
const SWEEP_MS = 24 * 60 * 60_000;

export interface RecordingPlace {
  readonly dir: string;
  readonly max_bytes: number;
  readonly keep_ms: number;
}

export class Recordings {
  readonly #dir: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  #sweptAt = -Infinity;

  /** @param stateDir `<state>` */
  constructor(stateDir: string, clock: Clock, log: Logger) {
    this.#dir = `${stateDir}/recordings`;
    this.#clock = clock;
    this.#log = log;
  }

  /**
   * Makes the place of one principal. A terminal that can't be recorded is one that can be used.
   *
   * @returns null where it is not recorded
   */
  async placeOf(
    principal: string,
    hash: string,
    recording: Recording,
  ): Promise<RecordingPlace | null> {
    if (recording.enabled === false) return null;
    const dir = `${this.#dir}/${hash}`;
    const { maxBytes, keepMs } = recordingLimits(recording);
    try {
      const owner = await readOwner(dir);
      if (owner !== null && owner.principal !== principal) {
        throw new Error(`its directory belongs to "${owner.principal}"`);
      }
      await Deno.mkdir(dir, { recursive: true });
      // The daemon, in the same group, reads there.
      await Deno.chmod(dir, 0o750);
      if (owner?.maxBytes !== maxBytes || owner.keepMs !== keepMs) {
        await writeAtomic(`${dir}/${OWNER_FILE}`, ownerText({ principal, maxBytes, keepMs }));
        await Deno.chmod(`${dir}/${OWNER_FILE}`, 0o640);
      }
      return { dir, max_bytes: maxBytes, keep_ms: keepMs };
    } catch (thrown) {
      this.#log.warn("a terminal is not recorded", { principal, why: messageOf(thrown) });
      return null;
    }
  }

  /** Once a day at most: what is too old of principals that don't run, and directories without anything. */
  async sweep(principals: ReadonlyMap<string, { readonly hash: string }>): Promise<void> {
    const isRunning = (hash: string) => [...principals.values()].some((one) => one.hash === hash);
    const now = this.#clock.now();
    if (now - this.#sweptAt < SWEEP_MS) return;
    this.#sweptAt = now;
    try {
      for (const { name } of await Array.fromAsync(Deno.readDir(this.#dir))) {
        if (!/^[0-9a-f]{16}$/.test(name) || isRunning(name)) continue;
        const dir = `${this.#dir}/${name}`;
        const owner = await readOwner(dir);
        if (owner === null) continue;
        await pruneRecordings(dir, owner, now);
        if ((await listRecordings(dir)).length === 0 && !isRunning(name)) {
          await removeIfThere(dir, true);
        }
      }
    } catch (thrown) {
      if (thrown instanceof Deno.errors.NotFound) return;
      this.#log.warn("old recordings can't be removed", { why: messageOf(thrown) });
    }
  }
}
