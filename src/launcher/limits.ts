// SPDX-License-Identifier: Apache-2.0

/** Limits of a principal as files of a control group, and what the kernel's own counters say. Pure. */
import type { Template } from "../lib/schema/events.ts";
import type { CgroupPlace, LauncherPolicy, Usage } from "./api.ts";

const MIB = 1024 * 1024;
/** Of `cpu.cfs_quota_us` and `cpu.max`. */
const PERIOD_US = 100_000;
/** Weight of a group that asks for nothing, in both versions' terms. */
const DEFAULT_WEIGHT = 100;
/** tmux, script, two bwraps and a shell stand beside the agent in its group. */
const OWN_PIDS = 16;

export interface Limits {
  readonly memoryBytes: number | null;
  /** What may go to swap beside `memoryBytes`. */
  readonly swapBytes: number;
  readonly pids: number | null;
  /** 1 to 10000; 100 is what a group gets that asks for nothing. */
  readonly cpuWeight: number;
  /** Of one processor: 150 is one and a half. */
  readonly cpuQuotaPercent: number | null;
  readonly ioWeight: number | null;
  /** A second, from each disk and as much to it. */
  readonly ioBytes: number | null;
}

type Resources = NonNullable<Template["resources"]>;

/** What a template asks for, within what the operator allows; the operator's ceiling where it asks for nothing. */
export function limitsOf(asked: Resources, allowed: LauncherPolicy["limits"]): Limits {
  const shares = asked.cpu_shares === undefined
    ? DEFAULT_WEIGHT
    : Math.round((asked.cpu_shares * DEFAULT_WEIGHT) / 1024);
  return {
    memoryBytes: (asked.memory_limit_mb ?? allowed.memory_limit_mb) * MIB,
    swapBytes: (asked.memory_swap_mb ?? 0) * MIB,
    pids: (asked.pids_limit ?? allowed.pids_limit) + OWN_PIDS,
    cpuWeight: clamp(asked.cpu_weight ?? shares, 1, 10_000),
    cpuQuotaPercent: asked.cpu_quota_percent ?? allowed.cpu_quota_percent ?? null,
    ioWeight: asked.io_weight === undefined ? null : clamp(asked.io_weight, 1, 10_000),
    ioBytes: asked.io_mb_per_second === undefined
      ? null
      : Math.max(1, asked.io_mb_per_second) * MIB,
  };
}

/** A proxy or relay: an agent that takes all it may must not starve it. `up` gives Bureau's other processes as much. */
export const SERVICE_LIMITS: Limits = {
  memoryBytes: null,
  swapBytes: 0,
  pids: 256,
  cpuWeight: 10_000,
  cpuQuotaPercent: null,
  ioWeight: null,
  ioBytes: null,
};

/** Stands for `major:minor` of each of the machine's disks in turn, at the beginning of a value. */
export const EACH_DISK = "DISK ";

/** One line of a group's files. */
export interface LimitFile {
  readonly controller: string;
  readonly file: string;
  readonly value: string;
  /** Not every kernel has it: without it the limit is weaker, not absent. */
  readonly optional: boolean;
}

/** In the order in which they must be written: memory alone before memory with swap. */
export function limitFiles(version: CgroupPlace["version"], limits: Limits): LimitFile[] {
  return version === 1 ? filesOfV1(limits) : filesOfV2(limits);
}

function filesOfV1(limits: Limits): LimitFile[] {
  const files: LimitFile[] = [];
  const put = (controller: string, file: string, value: number, optional = false) =>
    files.push({ controller, file, value: String(value), optional });
  if (limits.memoryBytes !== null) {
    put("memory", "memory.limit_in_bytes", limits.memoryBytes);
    // Missing where the kernel was started without swap accounting.
    put("memory", "memory.memsw.limit_in_bytes", limits.memoryBytes + limits.swapBytes, true);
  }
  // Also without a limit: a proxy may take what it needs, but what it holds is never written to a disk.
  if (limits.swapBytes === 0) put("memory", "memory.swappiness", 0, true);
  if (limits.pids !== null) put("pids", "pids.max", limits.pids);
  put("cpu", "cpu.shares", Math.max(2, Math.round((limits.cpuWeight * 1024) / DEFAULT_WEIGHT)));
  if (limits.cpuQuotaPercent !== null) {
    put("cpu", "cpu.cfs_period_us", PERIOD_US);
    put("cpu", "cpu.cfs_quota_us", quota(limits.cpuQuotaPercent));
  }
  // v1 knows weights only for its BFQ scheduler, up to 1000.
  if (limits.ioWeight !== null) {
    put("blkio", "blkio.bfq.weight", Math.min(limits.ioWeight, 1_000), true);
  }
  if (limits.ioBytes !== null) {
    for (const way of ["read", "write"]) {
      const file = `blkio.throttle.${way}_bps_device`;
      const value = `${EACH_DISK}${limits.ioBytes}`;
      files.push({ controller: "blkio", file, value, optional: false });
    }
  }
  return files;
}

function filesOfV2(limits: Limits): LimitFile[] {
  const files: LimitFile[] = [];
  const put = (file: string, value: string, optional = false) =>
    files.push({ controller: file.split(".")[0]!, file, value, optional });
  if (limits.memoryBytes !== null) {
    put("memory.max", String(limits.memoryBytes));
  }
  if (limits.memoryBytes !== null || limits.swapBytes === 0) {
    put("memory.swap.max", String(limits.swapBytes), true);
  }
  if (limits.pids !== null) put("pids.max", String(limits.pids));
  put("cpu.weight", String(limits.cpuWeight));
  if (limits.cpuQuotaPercent !== null) {
    put("cpu.max", `${quota(limits.cpuQuotaPercent)} ${PERIOD_US}`);
  }
  if (limits.ioWeight !== null) put("io.weight", `default ${limits.ioWeight}`, true);
  if (limits.ioBytes !== null) {
    put("io.max", `${EACH_DISK}rbps=${limits.ioBytes} wbps=${limits.ioBytes}`);
  }
  return files;
}

/** The kernel takes no quota below 1 ms. */
function quota(percent: number): number {
  return Math.max(1_000, Math.round((percent * PERIOD_US) / 100));
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, Math.round(value)));
}

/** The files that say what a group uses, by controller; absent ones are skipped. */
export function usageFiles(version: CgroupPlace["version"]): [string, string][] {
  return version === 1
    ? [
      ["memory", "memory.usage_in_bytes"],
      ["memory", "memory.max_usage_in_bytes"],
      ["memory", "memory.limit_in_bytes"],
      ["memory", "memory.oom_control"],
      ["pids", "pids.current"],
      ["pids", "pids.max"],
      ["pids", "pids.events"],
      ["cpuacct", "cpuacct.usage"],
      ["cpu", "cpu.stat"],
      ["freezer", "freezer.state"],
    ]
    : [
      ["memory", "memory.current"],
      ["memory", "memory.peak"],
      ["memory", "memory.max"],
      ["memory", "memory.events"],
      ["pids", "pids.current"],
      ["pids", "pids.max"],
      ["pids", "pids.events"],
      ["cpu", "cpu.stat"],
      ["unified", "cgroup.events"],
    ];
}

/**
 * @param text lines of `<file> <the file's line>`
 * @returns a value that the kernel does not tell is null
 */
export function parseUsage(text: string): Usage {
  const value = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [file, ...words] = line.trim().split(/\s+/);
    if (file === undefined || words.length === 0) continue;
    // `key value` files have a line each; the others just a value.
    if (words.length === 2) value.set(`${file} ${words[0]}`, words[1]!);
    else value.set(file, words[0]!);
  }
  const number = (...names: string[]): number | null => {
    const found = names.map((name) => value.get(name)).find((one) => one !== undefined);
    const parsed = Number(found);
    // v1 says "no limit" as a page-rounded 2^63.
    return found === undefined || !Number.isFinite(parsed) || parsed > 2 ** 62 ? null : parsed;
  };
  const micros = number("cpu.stat usage_usec");
  const nanos = number("cpuacct.usage");
  return {
    memory_bytes: number("memory.usage_in_bytes", "memory.current"),
    memory_peak_bytes: number("memory.max_usage_in_bytes", "memory.peak"),
    memory_limit_bytes: number("memory.limit_in_bytes", "memory.max"),
    oom_kills: number("memory.oom_control oom_kill", "memory.events oom_kill"),
    pids: number("pids.current"),
    pids_limit: number("pids.max"),
    pids_refused: number("pids.events max"),
    cpu_ms: micros !== null
      ? Math.round(micros / 1_000)
      : nanos !== null
      ? Math.round(nanos / 1e6)
      : null,
    cpu_throttled: number("cpu.stat nr_throttled"),
    frozen: ["FROZEN", "FREEZING"].includes(value.get("freezer.state") ?? "") ||
      value.get("cgroup.events frozen") === "1",
  };
}

/** Why a sandbox ended badly, when a limit is the reason; else null. @param code its exit status */
export function limitReached(usage: Usage, code: number): string | null {
  if (code === 0) return null;
  if ((usage.oom_kills ?? 0) > 0) {
    const limit = usage.memory_limit_bytes;
    return `killed: memory limit${limit === null ? "" : ` ${Math.round(limit / MIB)} MiB`}`;
  }
  if ((usage.pids_refused ?? 0) > 0) {
    return `process limit ${usage.pids_limit ?? ""}`.trim() + " was reached";
  }
  return null;
}
