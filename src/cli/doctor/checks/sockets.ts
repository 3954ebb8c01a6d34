// SPDX-License-Identifier: Apache-2.0

/** The sockets by which the processes reach each other: somebody answers, and only those who may can ask. */
import type { Facts } from "../../../lib/hwinfo/mod.ts";
import { type Owner, pathsOf } from "../../../lib/process/mod.ts";
import { type Finding, pass, quoted, skipped } from "../check.ts";
import { filesOf, type Installation, modeRepair } from "./files.ts";

interface Wanted {
  readonly name: "up" | "launcher" | "daemon" | "web";
  readonly path: string;
  readonly owner: Owner;
  readonly mode: number;
}

function wantedOf(place: Installation): Wanted[] {
  const paths = pathsOf(place);
  const all: Wanted[] = [
    { name: "up", path: paths.upSocket, owner: "operator", mode: 0o600 },
    { name: "launcher", path: paths.launcherSocket, owner: "launcher", mode: 0o660 },
    { name: "daemon", path: paths.daemonSocket, owner: "daemon", mode: 0o660 },
    { name: "web", path: paths.webSocket, owner: "web", mode: 0o660 },
  ];
  return place.layout === "systemd" ? all.filter(({ name }) => name !== "up") : all;
}

/** Path → `listening`, `refused`, `denied` or `unknown`. */
function statesOf(facts: Facts): ReadonlyMap<string, string> {
  return new Map(
    (facts.get("sockets") ?? "").split("\n").flatMap((line): [string, string][] => {
      const [, state, path] = /^(\w+) (.+)$/.exec(line) ?? [];
      return path === undefined ? [] : [[path, state!]];
    }),
  );
}

/** Whether `up` runs here, by its own socket. */
export function upListens(facts: Facts, place: Installation): boolean {
  return statesOf(facts).get(pathsOf(place).upSocket) === "listening";
}

export function judgeSockets(facts: Facts, place: Installation): Finding[] {
  const states = statesOf(facts);
  const files = filesOf(facts);
  const running = upListens(facts, place);
  const owner = place.ids("operator")?.uid;
  if (place.uid !== 0 && place.uid !== owner && place.layout !== "none") {
    return [skipped("socket", "only root, and who started Bureau, may look at its sockets")];
  }
  // An `up` that ends in good order takes its own socket away, and leaves the others'.
  if (place.layout === "box" && !files.has(pathsOf(place).upSocket)) {
    return [skipped("socket", "Bureau is not running here")];
  }
  const found = wantedOf(place).flatMap((wanted): Finding[] => {
    const name = `socket.${wanted.name}`;
    const file = files.get(wanted.path);
    const state = states.get(wanted.path);
    if (file === undefined) {
      if (!running) return [];
      return [{
        name,
        status: "fail",
        detail: `there is no ${wanted.path}, although \`up\` runs`,
        hint: "bureau status says how its process is; its log is in the state directory",
      }];
    }
    const right = judgeRights(name, wanted, file, place);
    if (state === "denied") return [skipped(name, `you may not ask at ${wanted.path}`)];
    if (state === "refused") return [stale(name, wanted, place, running), ...right];
    if (state !== "listening") return [skipped(name, `nothing could ask at ${wanted.path}`)];
    return right.length > 0 ? right : [pass(name, wanted.path)];
  });
  if (found.length > 0) return found;
  return [skipped("socket", "Bureau is not running here")];
}

/** Left by a process that was killed. Whoever starts takes it away too: only where nobody will, it is mended. */
function stale(
  name: string,
  wanted: Wanted,
  place: Installation,
  running: boolean,
): Finding {
  const detail = `nobody listens at ${wanted.path}: its process ended without taking it away`;
  if (running || place.layout === "systemd") {
    return {
      name,
      status: "fail",
      detail,
      hint: running ? "bureau status; its process is started again by itself" : "systemctl status",
    };
  }
  return {
    name,
    status: "fail",
    detail,
    reason: "whatever reaches for it is refused instead of told that Bureau does not run",
    repair: {
      by: "shell",
      id: "stale-socket",
      args: [wanted.path],
      what: `rm ${quoted(wanted.path)}`,
      root: place.ids(wanted.owner)?.uid !== place.uid,
      machine: false,
    },
  };
}

function judgeRights(
  name: string,
  { path, mode, owner }: Wanted,
  file: { readonly mode: number; readonly uid: number; readonly kind: string },
  place: Installation,
): Finding[] {
  if (file.kind !== "socket") {
    return [{ name, status: "fail", detail: `${path} is no socket`, hint: `rm ${quoted(path)}` }];
  }
  const ids = place.ids(owner);
  if (ids !== null && file.uid !== ids.uid) {
    return [{
      name,
      status: "fail",
      detail: `${path} belongs to user ${file.uid}, and must to ${ids.uid}`,
      reason: "somebody else answers in the place of that process",
      hint: "stop Bureau, look who made it, and start again",
    }];
  }
  if ((file.mode & 0o777) === mode) return [];
  const had = (file.mode & 0o777).toString(8).padStart(4, "0");
  return [{
    name,
    status: "fail",
    detail: `${path} has mode ${had}, and must have ${mode.toString(8).padStart(4, "0")}`,
    reason: "others can ask there, or those who must can't",
    repair: modeRepair(path, mode, place),
  }];
}

/** Control groups that are there without an `up` were left by one that was killed. */
export function judgeLeftovers(facts: Facts, place: Installation): Finding[] {
  const name = "leftovers";
  const processes = facts.get("cgroups");
  if (upListens(facts, place) || processes === undefined) {
    return [pass(name, "nothing is left of a Bureau that ended")];
  }
  if (Number(processes.trim()) > 0) {
    return [{
      name,
      status: "warn",
      detail: `${processes.trim()} processes of agents run on without Bureau`,
      reason: "nobody watches over them",
      hint: "sh tasks/up takes them over again; sh tasks/up, then sh tasks/up --down, ends them",
    }];
  }
  return [{
    name,
    status: "warn",
    detail: "empty control groups are left of a Bureau that ended",
    repair: {
      by: "shell",
      id: "cgroups",
      args: [],
      what: "sh tasks/up --down",
      root: place.ids("operator")?.uid !== place.uid,
      machine: false,
    },
  }];
}
