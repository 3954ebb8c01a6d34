// SPDX-License-Identifier: Apache-2.0

/** The directories of a Bureau, with the owners and modes that separate its processes. */
import { type Layout, pathsOf } from "./paths.ts";

/** Whose user a directory is: its process's, or that of whoever starts Bureau. */
export type Owner = "operator" | "homeserver" | "launcher" | "daemon" | "authority" | "web";

export interface OwnedDirectory {
  readonly path: string;
  readonly mode: number;
  readonly owner: Owner;
}

/** In Debian's range for ids given out on demand (Policy §9.2.2), with no entry in /etc/passwd. */
export const FIRST_ID = 64_700;

/** Users of the processes that root starts; all of them have the group `FIRST_ID`. */
export const ROOT_STARTED: Readonly<Record<Exclude<Owner, "operator">, number>> = {
  homeserver: FIRST_ID + 1,
  launcher: FIRST_ID + 2,
  daemon: FIRST_ID + 3,
  authority: FIRST_ID + 4,
  web: FIRST_ID + 5,
};

/** @param separate whether each process has a user of its own; false: all are the operator's */
export function directoriesOf(layout: Layout, separate: boolean): readonly OwnedDirectory[] {
  const { stateDir, runDir } = layout;
  const paths = pathsOf(layout);
  const of = (owner: Owner, mode: number, path: string) => ({ path, mode, owner });
  return [
    // Others may pass through, never list: each directory below decides for itself.
    of("operator", separate ? 0o711 : 0o700, stateDir),
    of("operator", separate ? 0o711 : 0o700, runDir),
    of("operator", 0o755, paths.runtime),
    of("operator", 0o755, paths.releases),
    of("operator", 0o755, paths.agents),
    of("operator", 0o700, paths.logs),
    of("operator", 0o711, paths.operator),
    of("operator", 0o700, `${runDir}/up`),
    of("homeserver", 0o700, paths.homeserver),
    of("launcher", 0o700, paths.launcherState),
    of("daemon", 0o700, paths.daemonState),
    of("authority", 0o755, paths.authority),
    // Clones are handed to the user that sandboxes run as: `agent create` reads it off this directory.
    of("launcher", 0o711, paths.workspaces),
    // The launcher's, which relays write and the daemon reads.
    of("launcher", 0o750, paths.recordings),
    of("launcher", 0o750, `${runDir}/launcher`),
    of("daemon", 0o750, `${runDir}/daemon`),
    of("web", 0o750, `${runDir}/web`),
    of("launcher", 0o750, paths.principals),
  ];
}
