// SPDX-License-Identifier: Apache-2.0

/**
 * The control groups of this launcher's cells. Deno cannot write below /sys without every permission there is,
 * so fixed shell scripts do, each in a throw-away cell that has just the place that `up` made for us.
 */
import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { spawn } from "../lib/process/mod.ts";
import { programArguments, seccompHere } from "../sandbox/mod.ts";
import type { CgroupPlace, Usage } from "./api.ts";
import { LauncherError } from "./errors.ts";
import {
  EACH_DISK,
  limitFiles,
  type Limits,
  parseUsage,
  SERVICE_LIMITS,
  usageFiles,
} from "./limits.ts";

const BWRAP = "/usr/bin/bwrap";
const DEADLINE_MS = 10_000;
export type Part = "agent" | "proxy" | "relay";

/**
 * A shell command that gives a process slices of so many nanoseconds, 0 for the usual: sched_setattr(2), which
 * keeps its policy and nice. Bureau's own have short ones, by `favour_bureau` of tasks/lib.sh, and a process
 * inherits them. A kernel before 6.12 has one length for all.
 */
export function slices(pid: string, nanoseconds: number): string {
  return `case "$(uname -m)" in x86_64) n=314 ;; aarch64) n=274 ;; *) n= ;; esac
[ -z "$n" ] || perl -e '$a = pack("LLQlLQQQLL", 56, 0, 8, getpriority(0, $ARGV[1]), 0, ${nanoseconds}, 0, 0, 0, 0);
  syscall($ARGV[0] + 0, $ARGV[1] + 0, $a, 0)' "$n" "${pid}" 2>/dev/null`;
}

/** Each begins with the group's name as $1. /cg holds a directory a controller, or links to the one of v2. */
const SCRIPTS = {
  /** $2 is a process; the rest are `controller file value optional`. */
  enter: `name=$1 pid=$2; shift 2
put() {
  case "$1" in
    "${EACH_DISK}"*)
      # Not every disk takes one: a loop that nothing is behind.
      done=1
      for disk in /sys/block/*/dev; do
        read -r number <"$disk" && printf '%s' "$number \${1#${EACH_DISK}}" >"$2" && done=0
      done
      return $done ;;
    *) printf '%s' "$1" >"$2" ;;
  esac
}
for c in /cg/*; do mkdir -p "$c/$name" || exit 1; done
while [ $# -ge 4 ]; do
  at=/cg/$1/$name/$2
  [ -d "/cg/$1" ] || at=/cg/unified/$name/$2
  if [ -e "$at" ]; then
    (put "$3" "$at") 2>/dev/null || [ "$4" = true ] || { echo "cannot write $3 to $2" >&2; exit 1; }
  elif [ "$4" = false ] && [ -d "/cg/$1" ]; then
    echo "$2 is missing" >&2; exit 1
  fi
  shift 4
done
for c in /cg/*; do echo "$pid" >"$c/$name/cgroup.procs" || exit 1; done
case "$name" in *.agent) ${slices("$pid", 0)} ;; esac`,
  /** The rest are `controller file`. */
  usage: `name=$1; shift; found=1
while [ $# -ge 2 ]; do
  at=/cg/$1/$name/$2
  [ -d "/cg/$1" ] || at=/cg/unified/$name/$2
  file=$2; shift 2
  [ -r "$at" ] || continue
  found=0
  while read -r line; do echo "$file $line"; done <"$at"
done
exit $found`,
  /**
   * $2 is 1 to freeze, 0 to thaw. Answers when the kernel says that it is so. Version 1 never gets there when it
   * catches a vfork between its two halves (the parent waits for a child that is frozen), so it is tried again.
   */
  freeze: `name=$1
if [ -d /cg/freezer ]; then
  at=/cg/freezer/$name/freezer.state
  set_to() { if [ "$1" = 1 ]; then echo FROZEN; else echo THAWED; fi >"$at"; }
  reached() { read -r now <"$at"; case "$1$now" in 1FROZEN | 0THAWED) ;; *) false ;; esac }
else
  at=/cg/unified/$name
  set_to() { echo "$1" >"$at/cgroup.freeze"; }
  reached() { grep -qx "frozen $1" "$at/cgroup.events"; }
fi
for round in 1 2 3 4 5 6 7 8 9 10 11 12; do
  set_to "$2" || exit 1
  for n in 1 2 3 4 5 6 7 8 9 10; do
    reached "$2" && exit 0
    sleep 0.02
  done
  set_to 0
done
echo "the kernel does not say that it is done" >&2
exit 1`,
  /** Frozen meanwhile: nothing can fork away, and no pid is used again. */
  kill: `name=$1
if [ -e "/cg/unified/$name/cgroup.kill" ]; then
  echo 0 >"/cg/unified/$name/cgroup.freeze"; echo 1 >"/cg/unified/$name/cgroup.kill"; exit
fi
[ -d /cg/freezer ] && echo FROZEN >"/cg/freezer/$name/freezer.state"
for c in /cg/*; do
  [ -r "$c/$name/cgroup.procs" ] || continue
  while read -r pid; do [ "$pid" = 0 ] || kill -9 "$pid"; done <"$c/$name/cgroup.procs"
done
[ ! -d /cg/freezer ] || echo THAWED >"/cg/freezer/$name/freezer.state"`,
  /** Waits for the last process, which may be a zombie yet. */
  remove: `for name; do for c in /cg/*; do
  n=0
  while [ -d "$c/$name" ] && ! rmdir "$c/$name" 2>/dev/null; do
    n=$((n + 1)); [ $n -lt 300 ] || exit 1; sleep 0.01
  done
done; done`,
  /** Says which of the files `controller file` a new group would have. */
  probe: `name=probe.agent
for c in /cg/*; do mkdir -p "$c/$name" || exit 1; done
while [ $# -ge 2 ]; do
  at=/cg/$1/$name/$2
  [ -d "/cg/$1" ] || at=/cg/unified/$name/$2
  [ ! -w "$at" ] || echo "$2"
  shift 2
done
for c in /cg/*; do rmdir "$c/$name" 2>/dev/null; done; exit 0`,
  list:
    `for c in /cg/*; do for d in "$c"/*/; do [ ! -d "$d" ] || basename "$d"; done; done | sort -u`,
  /** Children have only the controllers that are handed down to them. Bureau's own come before agents. */
  prepare: `[ ! -e /cg/unified/cgroup.subtree_control ] || for c in memory pids cpu io; do
  (echo "+$c" >/cg/unified/cgroup.subtree_control) 2>/dev/null
done
(echo ${SERVICE_LIMITS.cpuWeight} >/cg/unified/up/cpu.weight) 2>/dev/null
cat /cg/unified/cgroup.subtree_control 2>/dev/null; exit 0`,
} as const;

export class Cgroups {
  readonly #place: CgroupPlace;
  readonly #log: Logger;

  constructor(place: CgroupPlace, log: Logger) {
    this.#place = place;
    this.#log = log;
  }

  /** Makes what a place needs and removes groups that no principal has. @param known hashes */
  async open(known: ReadonlySet<string>): Promise<void> {
    await this.#run("prepare");
    for (const name of (await this.#run("list")).split("\n").filter((one) => one !== "")) {
      if (!/^[A-Za-z0-9_-]+\.(agent|proxy|relay)$/.test(name)) continue;
      const [hash, part] = name.split(".");
      if (known.has(hash!) && part === "agent") continue;
      this.#log.warn("removing a control group that nobody owns", { group: name });
      await this.#run("kill", name).catch(() => "");
      await this.#drop([name]);
    }
  }

  /** @returns which of these files a group has here */
  async probe(files: readonly (readonly [controller: string, file: string])[]): Promise<string[]> {
    await this.#run("prepare");
    return (await this.#run("probe", ...files.flat())).split("\n").filter((file) => file !== "");
  }

  /** @param pid of a process that has no child yet */
  async enter(hash: string, part: Part, pid: number, limits: Limits): Promise<void> {
    const files = limitFiles(this.#place.version, limits).flatMap((one) => [
      one.controller,
      one.file,
      one.value,
      String(one.optional),
    ]);
    await this.#run("enter", `${hash}.${part}`, String(pid), ...files);
  }

  /** @returns null when it has no group */
  async usage(hash: string): Promise<Usage | null> {
    try {
      return parseUsage(
        await this.#run("usage", `${hash}.agent`, ...usageFiles(this.#place.version).flat()),
      );
    } catch (thrown) {
      this.#log.debug("cannot read usage", { hash, why: messageOf(thrown) });
      return null;
    }
  }

  async freeze(hash: string, frozen: boolean): Promise<void> {
    await this.#run("freeze", `${hash}.agent`, frozen ? "1" : "0");
  }

  async kill(hash: string): Promise<void> {
    await this.#run("kill", `${hash}.agent`);
  }

  async remove(hash: string): Promise<void> {
    await this.#drop((["agent", "proxy", "relay"] as const).map((part) => `${hash}.${part}`));
  }

  async #drop(names: readonly string[]): Promise<void> {
    await this.#run("remove", ...names).catch((thrown) =>
      this.#log.warn("cannot remove control groups yet; the next start does", {
        groups: names.join(" "),
        why: messageOf(thrown),
      })
    );
  }

  async #run(script: keyof typeof SCRIPTS, ...args: string[]): Promise<string> {
    const own = [...cgroupCellArguments(this.#place), "--seccomp", "3"];
    const cell = spawn([BWRAP, ...own, "--", "/bin/sh", "-c", SCRIPTS[script], "sh", ...args], {
      env: { PATH: "/usr/bin:/bin" },
      data: [seccompHere("networkless")],
      keep: true,
    });
    const timer = setTimeout(() => cell.kill(), DEADLINE_MS);
    const { success, stdout, stderr } = await cell.output.finally(() => clearTimeout(timer));
    if (success) return new TextDecoder().decode(stdout);
    const said = new TextDecoder().decode(stderr).trim().split("\n").at(-1);
    throw new LauncherError(
      "cgroup-failed",
      `Cannot ${script} the control group "${args[0] ?? ""}": ${said || "the kernel refused"}`,
      { hint: "`bureau doctor` says which limits this machine can set" },
    );
  }
}

/** Pids stay the machine's: those are what is moved and killed. */
function cgroupCellArguments(place: CgroupPlace): string[] {
  return [
    ...["--unshare-user", "--unshare-ipc", "--unshare-net", "--unshare-uts"],
    ...["--new-session", "--die-with-parent", "--cap-drop", "ALL", "--clearenv"],
    ...programArguments(),
    ...["--dev", "/dev"],
    // Which disks there are.
    ...["/sys/block", "/sys/devices"].flatMap((path) => ["--ro-bind-try", path, path]),
    ...Object.entries(place.dirs).flatMap(([name, dir]) => ["--bind", dir, `/cg/${name}`]),
    ...["--remount-ro", "/", "--chdir", "/", "--setenv", "PATH", "/usr/bin:/bin"],
  ];
}
