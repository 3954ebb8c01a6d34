// SPDX-License-Identifier: Apache-2.0

/** Directories and files of Bureau: whose they are and who else may read them. */
import type { Facts } from "../../../lib/hwinfo/mod.ts";
import { directoriesOf, FIRST_ID, type Owner, ROOT_STARTED } from "../../../lib/process/mod.ts";
import { type Finding, pass, quoted, type ShellRepair, skipped } from "../check.ts";

export interface FileFact {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly kind: "directory" | "file" | "socket" | "other";
}

/** By path. */
export function filesOf(facts: Facts): ReadonlyMap<string, FileFact> {
  const files = new Map<string, FileFact>();
  for (const line of (facts.get("files") ?? "").split("\n")) {
    const [, mode, uid, gid, type, path] = /^([0-7]+) (\d+) (\d+) ([^|]+)\|(.+)$/.exec(line) ?? [];
    if (path === undefined) continue;
    files.set(path, {
      mode: Number.parseInt(mode!, 8),
      uid: Number(uid),
      gid: Number(gid),
      kind: type === "directory"
        ? "directory"
        : type === "socket"
        ? "socket"
        : type!.startsWith("regular")
        ? "file"
        : "other",
    });
  }
  return files;
}

/** How Bureau lies on this machine. */
export interface Installation {
  readonly stateDir: string;
  readonly runDir: string;
  /** `box`: made by `up`; `systemd`: by units; `none`: neither was there yet. */
  readonly layout: "box" | "systemd" | "none";
  /** Who asks. */
  readonly uid: number;
  /** User and group of each process; null where that user is not known. */
  readonly ids: (owner: Owner) => { readonly uid: number; readonly gid: number } | null;
  /** Whether processes have users of their own. */
  readonly separate: boolean;
}

export function installationOf(
  facts: Facts,
  dirs: { readonly stateDir: string; readonly runDir: string },
): Installation {
  const text = (facts.get("layout") ?? "").trim();
  const layout = text === "systemd" || text === "box" ? text : "none";
  const uid = Number((facts.get("id -u") ?? "").trim() || "-1");
  const files = filesOf(facts);
  // Root's `up` gives them users; an ordinary user's can't.
  const separate = layout === "systemd" || files.get(dirs.stateDir)?.uid === 0;
  const own = files.get(dirs.stateDir) ?? { uid, gid: -1 };
  const user = (owner: Owner) =>
    (facts.get("users") ?? "").split("\n").find((line) => line.startsWith(`bureau-${owner}:`))
      ?.split(":");
  return {
    ...dirs,
    layout,
    uid,
    separate,
    ids: (owner) => {
      if (owner === "operator" || !separate) return { uid: own.uid, gid: own.gid };
      if (layout !== "systemd") return { uid: ROOT_STARTED[owner], gid: FIRST_ID };
      const [, , id] = user(owner) ?? [];
      // Each has a group of its own too; what they share they share by this one.
      const group = (facts.get("group") ?? "").trim().split(":")[2];
      if (id === undefined || group === undefined) return null;
      return { uid: Number(id), gid: Number(group) };
    },
  };
}

/** What Bureau itself keeps in the operator's directory: not `policy.json`, which others read, nor what a person wrote. */
const SECRET = /^(?!policy\.json$)(?:machines\/.+|.+\.json|.*(?:token|secret).*|gitconfig)$/;

const octal = (mode: number) => mode.toString(8).padStart(4, "0");

export function modeRepair(path: string, mode: number, place: Installation): ShellRepair {
  const own = place.ids("operator");
  return {
    by: "shell",
    id: "mode",
    args: [octal(mode), path],
    what: `chmod ${octal(mode)} ${quoted(path)}`,
    // One's own needs nobody else.
    root: own === null || own.uid !== place.uid,
    machine: false,
  };
}

export function judgeFiles(facts: Facts, place: Installation): Finding[] {
  const name = "files";
  if (place.layout === "none") return [skipped(name, "Bureau was never started here")];
  const files = filesOf(facts);
  const found = [
    ...directoriesOf(place, place.separate).flatMap((wanted) => {
      const ids = place.ids(wanted.owner);
      const present = files.get(wanted.path);
      return ids === null || present === undefined
        ? []
        : judgeDirectory(wanted.path, wanted.mode, ids, present, place);
    }),
    ...[...files].flatMap(([path, file]) => judgeSecret(path, file, place)),
  ];
  if (found.length > 0) return found;
  const count = [...files.keys()].filter((path) => path.startsWith(`${place.stateDir}/`)).length;
  return [pass(name, `${count} files and directories have the owners and modes that they must`)];
}

function judgeDirectory(
  path: string,
  mode: number,
  ids: { readonly uid: number; readonly gid: number },
  present: FileFact,
  place: Installation,
): Finding[] {
  if (present.kind !== "directory") {
    return [{
      name: "files.kind",
      status: "fail",
      detail: `${path} is no directory`,
      hint: "look what it is, move it away, and start Bureau, which makes the directory",
    }];
  }
  const group = ids.gid !== -1 && ids.uid !== place.ids("operator")?.uid;
  if (present.uid !== ids.uid || (group && present.gid !== ids.gid)) {
    const owner = `${ids.uid}:${ids.gid}`;
    return [{
      name: "files.owner",
      status: "fail",
      detail: `${path} belongs to ${present.uid}:${present.gid}, and must to ${owner}`,
      reason: "its process can't write there, or another one can",
      repair: {
        by: "shell",
        id: "owner",
        args: [owner, path],
        what: `chown ${owner} ${quoted(path)}`,
        root: true,
        machine: false,
      },
    }];
  }
  if (present.mode === mode) return [];
  return [{
    name: "files.mode",
    status: "fail",
    detail: `${path} has mode ${octal(present.mode)}, and must have ${octal(mode)}`,
    reason: (present.mode & ~mode) === 0
      ? "processes that need it can't get there"
      : "others can get at what it keeps apart",
    repair: modeRepair(path, mode, place),
  }];
}

/** Sessions, keys, registration: of their owner alone. */
function judgeSecret(path: string, file: FileFact, place: Installation): Finding[] {
  const { stateDir } = place;
  if (file.kind !== "file" || (file.mode & 0o077) === 0) return [];
  const inOperator = path.startsWith(`${stateDir}/operator/`) &&
    SECRET.test(path.slice(`${stateDir}/operator/`.length));
  const key = path.startsWith(`${stateDir}/launcher/`) || path.startsWith(`${stateDir}/daemon/`) ||
    path.startsWith(`${stateDir}/homeserver/`) ||
    (path.startsWith(`${stateDir}/authority/`) && path.endsWith(".key")) ||
    /^\/etc\/bureau\/(machine-session|daemon)\.json$/.test(path);
  if (!inOperator && !key) return [];
  return [{
    name: "files.secret",
    status: "fail",
    detail: `${path} has mode ${octal(file.mode)}: not only its owner can read it`,
    reason: "it holds a key, a token or what was said",
    repair: modeRepair(path, file.mode & 0o700, place),
  }];
}
