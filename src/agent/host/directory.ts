// SPDX-License-Identifier: Apache-2.0

/** The host's directory: nobody else's, and one host's at a time. */
import { type Clock, systemClock } from "../../lib/clock.ts";
import { HostError } from "./errors.ts";
import { removeWhole } from "./places.ts";

const LOCK = "host.lock";
const LOOK_AGAIN_MS = 50;
/** How long one host may take to end after another began. */
const PATIENCE_MS = 30_000;

export interface HostDirectory {
  /** Removes it, and lets the next host have its place. */
  leave(): Promise<void>;
}

/**
 * @param isServed whether a host answers there
 * @returns null where one does
 * @throws {HostError} `foreign-directory`, `not-started`
 */
export async function enterDirectory(
  dir: string,
  isServed: () => Promise<boolean>,
  clock: Clock = systemClock,
): Promise<HostDirectory | null> {
  for (const deadline = clock.now() + PATIENCE_MS; clock.now() < deadline;) {
    const lock = await lockIn(dir);
    if (lock !== null) {
      return {
        async leave() {
          await removeWhole(dir, clock);
          lock.close();
        },
      };
    }
    if (await isServed()) return null;
    await clock.sleep(LOOK_AGAIN_MS);
  }
  throw new HostError(
    "not-started",
    `Cannot host workers in "${dir}": another host has it, which does not answer`,
    `end the process that has "${dir}/${LOCK}" open`,
  );
}

/** Null while another process has it. */
async function lockIn(dir: string): Promise<Deno.FsFile | null> {
  await makeOwn(dir);
  const path = `${dir}/${LOCK}`;
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path, { write: true, create: true, mode: 0o600 });
  } catch (thrown) {
    // An earlier host has just removed the directory.
    if (thrown instanceof Deno.errors.NotFound) return null;
    throw thrown;
  }
  const isOurs = await file.tryLock(true) && await isAt(path, file);
  if (isOurs) return file;
  file.close();
  return null;
}

/** A lock on a file that was removed meanwhile is a lock on nothing. */
async function isAt(path: string, file: Deno.FsFile): Promise<boolean> {
  const there = await Deno.lstat(path).catch(() => null);
  return there !== null && there.ino === (await file.stat()).ino;
}

/** @throws {HostError} `foreign-directory`: whoever could write there could be the host */
async function makeOwn(dir: string): Promise<void> {
  await Deno.mkdir(dir, { mode: 0o700 }).catch((thrown) => {
    if (!(thrown instanceof Deno.errors.AlreadyExists)) throw thrown;
  });
  const info = await Deno.lstat(dir).catch(() => null);
  // Removed in between: looked at again.
  if (info === null) return;
  if (info.isDirectory && info.uid === Deno.uid() && (info.mode! & 0o077) === 0) return;
  throw new HostError(
    "foreign-directory",
    `Cannot host workers in "${dir}": it is not a directory of this user's with mode 0700`,
    "somebody else made it; remove it",
  );
}
