// SPDX-License-Identifier: Apache-2.0

/** What a machine runs out of: disk, file names, open files; and what all of its programs share. */
import { fact, type Facts, numberFact } from "../../../lib/hwinfo/mod.ts";
import { type Finding, pass, skipped } from "../check.ts";
import { filesOf } from "./files.ts";

const GIB = 2 ** 30;
/** A homeserver that can't write stops; what is left lasts for a day of recordings. */
const DISK = { fail: 0.2 * GIB, warn: 2 * GIB };
const INODES = { fail: 1_000, warn: 20_000 };
/** The daemon holds a connection for each agent, watcher and tunnel. */
const OPEN_FILES = 1_024;
/** Of the file system that they are on. */
const MUCH = 0.2;
/** Of Debian 11; an older one was never tried. */
const GIT = [2, 30] as const;

export function judgeResources(facts: Facts): Finding[] {
  return [
    ...judgeDisks(facts),
    judgeOpenFiles(facts),
    judgeEntropy(facts),
    judgeTmp(facts),
    judgeSwap(facts),
    judgeGit(facts),
  ];
}

interface Disk {
  readonly bytes: number;
  readonly free: number;
  readonly inodes: number;
  readonly inodesFree: number;
  readonly path: string;
}

function disksOf(facts: Facts): Disk[] {
  return (facts.get("disks") ?? "").split("\n").flatMap((line) => {
    const [, blocks, free, inodes, inodesFree, path] =
      /^(\d+) (\d+) (\d+|-) (\d+|-) (.+)$/.exec(line) ?? [];
    if (path === undefined) return [];
    return [{
      bytes: Number(blocks) * 1024,
      free: Number(free) * 1024,
      inodes: Number(inodes) || 0,
      inodesFree: Number(inodesFree) || 0,
      path,
    }];
  });
}

const size = (bytes: number) =>
  bytes >= GIB ? `${(bytes / GIB).toFixed(1)} GiB` : `${Math.round(bytes / 2 ** 20)} MiB`;

const level = (left: number, { fail, warn }: { fail: number; warn: number }) =>
  left < fail ? "fail" : left < warn ? "warn" : "pass";

/** Of the run directory, which is often a small tmpfs, only what a socket takes matters. */
function judgeDisks(facts: Facts): Finding[] {
  const [state, run] = disksOf(facts);
  if (state === undefined) return [skipped("disk", "df says nothing of the state directory")];
  const hint = `make room on the file system of "${state.path}", or move the state directory`;
  const space = level(state.free, DISK);
  const names = level(state.inodesFree, INODES);
  return [
    {
      name: "disk.space",
      status: space,
      detail: `${size(state.free)} free of ${size(state.bytes)} at ${state.path}`,
      ...(space === "pass" ? {} : {
        reason: "what agents say is not kept, and nothing starts, when the disk is full",
        hint,
      }),
    },
    // btrfs and others have as many as they have room for.
    state.inodes === 0 ? pass("disk.inodes", "this file system has no fixed number of them") : {
      name: "disk.inodes",
      status: names,
      detail: `${state.inodesFree} free of ${state.inodes} at ${state.path}`,
      ...(names === "pass" ? {} : { reason: "no file can be made when there are none", hint }),
    },
    ...(run === undefined || run.free >= 2 ** 20 ? [] : [{
      name: "disk.run",
      status: "fail" as const,
      detail: `the run directory's file system is full: ${size(run.free)} free at ${run.path}`,
      hint: "make room there, or start with another --run-dir",
    }]),
  ];
}

function judgeOpenFiles(facts: Facts): Finding {
  const [, soft, hard] = /^nofile (\S+) (\S+)/.exec(fact(facts, "limits") ?? "") ?? [];
  const name = "limits.files";
  if (hard === undefined) return skipped(name, "the shell says no limit of open files");
  const many = (text: string | undefined) => text === "unlimited" ? Infinity : Number(text);
  if (many(soft) >= OPEN_FILES) return pass(name, `${soft} open files in one process`);
  return {
    name,
    status: "warn",
    detail: `a process here may have only ${soft} open files`,
    reason: "the daemon holds some for each agent, watcher and tunnel",
    hint: many(hard) >= OPEN_FILES
      ? `ulimit -n ${hard}, before \`up\``
      : "raise nofile in /etc/security/limits.conf and log in again",
  };
}

function judgeEntropy(facts: Facts): Finding {
  const name = "kernel.random";
  const bits = numberFact(facts, "/proc/sys/kernel/random/entropy_avail");
  if (bits === null) return skipped(name, "the kernel says nothing of its randomness here");
  return bits >= 128 ? pass(name, `${bits} bits`) : {
    name,
    status: "warn",
    detail: `the kernel has ${bits} bits of randomness`,
    reason: "keys made now wait for more, and starting takes long",
    hint: "give the virtual machine a virtio-rng device",
  };
}

function judgeTmp(facts: Facts): Finding {
  const name = "tmp";
  const tmp = filesOf(facts).get("/tmp");
  if (tmp === undefined) return skipped(name, "nothing can be said of /tmp");
  if (tmp.uid === 0 && (tmp.mode & 0o1000) !== 0) return pass(name, "/tmp is root's and sticky");
  return {
    name,
    status: "fail",
    detail: tmp.uid === 0
      ? "/tmp has no sticky bit: anybody removes anybody's files there"
      : `/tmp belongs to user ${tmp.uid}, who can put others' sockets there`,
    reason: "without XDG_RUNTIME_DIR sockets are below it, and the hosts of workers are",
    hint: "chown root:root /tmp && chmod 1777 /tmp",
  };
}

/** `up` keeps its own processes out of it where it has control groups; the rest is the machine's. */
function judgeSwap(facts: Facts): Finding {
  const devices = (facts.get("/proc/swaps") ?? "").split("\n").slice(1)
    .map((line) => line.split(/\s+/)[0]!).filter(Boolean);
  const open = devices.filter((path) => !/^\/dev\/(zram|dm-|mapper\/)/.test(path));
  const name = "swap";
  if (devices.length === 0) return pass(name, "none");
  if (open.length === 0) return pass(name, `compressed memory or encrypted: ${devices.join(" ")}`);
  return {
    name,
    status: "pass",
    detail: `${open.join(" ")}; Bureau's own processes stay out of it where it has control groups`,
  };
}

function judgeGit(facts: Facts): Finding {
  const [, major, minor] = /git version (\d+)\.(\d+)/.exec(fact(facts, "git") ?? "") ?? [];
  const name = "program.git";
  if (major === undefined) {
    return {
      name,
      status: "fail",
      detail: "git is not installed",
      reason: "agents work in clones of repositories",
      hint: "apt-get install git",
    };
  }
  const version = `${major}.${minor}`;
  const old = Number(major) < GIT[0] || (Number(major) === GIT[0] && Number(minor) < GIT[1]);
  return old
    ? {
      name,
      status: "warn",
      detail: `git ${version} is older than ${GIT.join(".")}, which is what Bureau is tried with`,
      hint: "apt-get install git, of a newer release",
    }
    : pass(name, `git ${version}`);
}

/** What grows by itself. */
export function judgeStorage(facts: Facts, stateDir: string): Finding[] {
  const disk = disksOf(facts)[0]?.bytes ?? Infinity;
  return ["recordings", "logs"].map((what) => {
    const line = (facts.get("sizes") ?? "").split("\n").find((one) =>
      one.endsWith(` ${stateDir}/${what}`)
    );
    const name = `storage.${what}`;
    if (line === undefined) return skipped(name, `there are none that you may count`);
    const bytes = Number(line.split(" ")[0]) * 1024;
    if (bytes <= MUCH * disk) return pass(name, size(bytes));
    return {
      name,
      status: "warn",
      detail: `${size(bytes)}: more than a fifth of the disk`,
      hint: what === "recordings"
        ? "a template's `recording` says how long they are kept; `bureau log list` shows whose they are"
        : `compress or remove the old ones in ${stateDir}/logs`,
    };
  });
}

const DAY_S = 86_400;
const OLD_S = 7 * DAY_S;

/** Of the embedded homeserver: whatever was said, and every assignment, is in its database. */
export function judgeBackups(facts: Facts, nowMs: number): Finding[] {
  const name = "storage.backup";
  const [made, newest] = (fact(facts, "backups") ?? "").split(" ").map(Number);
  if (made === undefined || made === 0) {
    return [skipped(name, "there is no database of an embedded homeserver that you may read")];
  }
  const now = nowMs / 1000;
  const since = newest === undefined || newest === 0 ? made : newest;
  const days = Math.floor((now - since) / DAY_S);
  if (now - since < OLD_S) {
    return [
      pass(name, since === made ? "the database is young" : `the newest is ${days} days old`),
    ];
  }
  return [{
    name,
    status: "warn",
    detail: since === made
      ? `there is none, and the database is ${days} days old`
      : `the newest is ${days} days old`,
    reason: "rooms, accounts and assignments are in that database alone",
    hint: "bureau homeserver backup",
  }];
}
