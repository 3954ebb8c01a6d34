// SPDX-License-Identifier: Apache-2.0

/** Makes the directories of a dev box with the owners and modes that separate its processes. */
import { directoriesOf, FIRST_ID, ROOT_STARTED } from "../lib/process/mod.ts";
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
  const as = (uid: number): Identity => ({ uid, gid: FIRST_ID });
  const { homeserver, launcher, daemon, authority, web } = ROOT_STARTED;
  return {
    homeserver: as(homeserver),
    launcher: as(launcher),
    daemon: as(daemon),
    authority: as(authority),
    web: as(web),
  };
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
  for (const { path, mode, owner } of directoriesOf(layout, identities !== null)) {
    await directory(path, mode, owner === "operator" ? undefined : identities?.[owner]);
  }
}
