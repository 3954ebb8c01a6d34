// SPDX-License-Identifier: Apache-2.0

/** Makes the directories of a dev box with the owners and modes that separate its processes. */
import { pathsOf } from "../lib/process/mod.ts";
import { SupervisorError } from "./errors.ts";
import type { Identity } from "./child.ts";

/** Users of the separate processes; null for all when `up` is not root and cannot give them one. */
export interface Identities {
  readonly homeserver: Identity;
  readonly launcher: Identity;
  readonly daemon: Identity;
  readonly authority: Identity;
  readonly web: Identity;
}

/** In Debian's range for ids given out on demand (Policy §9.2.2), with no entry in /etc/passwd. */
const FIRST_ID = 64_700;

/**
 * Ids for a root-started dev box: one uid a process, one gid for all, so that sockets can be shared by
 * group while keys and sessions stay each process's own (W-1).
 *
 * @throws {SupervisorError} when the machine uses one of these ids for somebody
 */
export function rootIdentities(passwd: string): Identities {
  const taken = new Set(passwd.split("\n").flatMap((line) => line.split(":").slice(2, 4)));
  for (let id = FIRST_ID; id <= FIRST_ID + 5; id++) {
    if (taken.has(String(id))) {
      throw new SupervisorError(
        "id-taken",
        `Cannot give Bureau's processes their own users: id ${id} belongs to somebody in /etc/passwd`,
        { hint: "run as an ordinary user instead of root" },
      );
    }
  }
  const as = (offset: number): Identity => ({ uid: FIRST_ID + offset, gid: FIRST_ID });
  return { homeserver: as(1), launcher: as(2), daemon: as(3), authority: as(4), web: as(5) };
}

async function directory(path: string, mode: number, owner?: Identity): Promise<void> {
  try {
    await Deno.mkdir(path, { recursive: true, mode });
    const info = await Deno.lstat(path);
    if (!info.isDirectory) {
      throw new SupervisorError("not-a-directory", `Cannot use "${path}": it is not a directory`, {
        hint: "choose other directories with --state-dir and --run-dir; a link is not followed",
      });
    }
    if (owner === undefined && info.uid !== Deno.uid()) {
      // Its owner could put other programs in the place of ours at any time.
      throw new SupervisorError(
        "foreign-directory",
        `Cannot use "${path}": it belongs to somebody else`,
        {
          hint:
            "choose other directories with --state-dir and --run-dir, or give it to yourself: chown",
        },
      );
    }
    if (owner !== undefined && (info.uid !== owner.uid || info.gid !== owner.gid)) {
      await Deno.chown(path, owner.uid, owner.gid);
    }
    await Deno.chmod(path, mode);
  } catch (thrown) {
    if (thrown instanceof SupervisorError) throw thrown;
    if (
      thrown instanceof Deno.errors.PermissionDenied || thrown instanceof Deno.errors.NotCapable
    ) {
      throw new SupervisorError("not-writable", `Cannot make "${path}": permission denied`, {
        hint: "choose other directories with --state-dir and --run-dir",
        cause: thrown,
      });
    }
    throw diskError(path, thrown);
  }
}

/** Names a full disk as such; everything else passes through. */
export function diskError(path: string, thrown: unknown): unknown {
  const text = String(thrown);
  if (!/os error 28|No space left|ENOSPC|os error 122|EDQUOT/.test(text)) return thrown;
  return new SupervisorError("disk-full", `Cannot write "${path}": the disk is full`, {
    hint: `free some space on the file system of "${path}", or choose another with --state-dir`,
    cause: thrown,
  });
}

/**
 * @param identities null in one-user mode
 * @throws {SupervisorError} `not-writable`, `not-a-directory`, `foreign-directory` or `disk-full`
 */
export async function makeDirectories(
  layout: { stateDir: string; runDir: string },
  identities: Identities | null,
): Promise<void> {
  const paths = pathsOf(layout);
  // Others may pass through, never list: each directory below decides for itself.
  await directory(layout.stateDir, identities === null ? 0o700 : 0o711);
  await directory(layout.runDir, identities === null ? 0o700 : 0o711);
  await directory(paths.runtime, 0o755);
  await directory(paths.releases, 0o755);
  await directory(paths.agents, 0o755);
  await directory(paths.logs, 0o700);
  await directory(paths.operator, 0o711);
  await directory(`${layout.runDir}/up`, 0o700);
  await directory(paths.homeserver, 0o700, identities?.homeserver);
  await directory(paths.launcherState, 0o700, identities?.launcher);
  await directory(paths.daemonState, 0o700, identities?.daemon);
  await directory(paths.authority, 0o755, identities?.authority);
  // Clones are handed to the user that sandboxes run as: `agent create` reads it off this directory.
  await directory(paths.workspaces, 0o711, identities?.launcher);
  // The launcher's, which relays write and the daemon reads.
  await directory(paths.recordings, 0o750, identities?.launcher);
  await directory(`${layout.runDir}/launcher`, 0o750, identities?.launcher);
  await directory(`${layout.runDir}/daemon`, 0o750, identities?.daemon);
  await directory(`${layout.runDir}/web`, 0o750, identities?.web);
  await directory(paths.principals, 0o750, identities?.launcher);
}
