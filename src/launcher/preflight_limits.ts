// SPDX-License-Identifier: Apache-2.0

/** Which limits this machine can set, tried in a group of our own. */
import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { CgroupPlace, PreflightFinding } from "./api.ts";
import { Cgroups } from "./limits_cell.ts";

/** A limit needs one of these files, by version. */
const NEEDS = [
  {
    what: "memory",
    1: ["memory", "memory.limit_in_bytes"],
    2: ["memory", "memory.max"],
    lacking: "an agent can take all memory",
  },
  {
    what: "swap",
    1: ["memory", "memory.memsw.limit_in_bytes"],
    2: ["memory", "memory.swap.max"],
    lacking: "what an agent may not have in memory it can have in swap, where there is any",
  },
  {
    what: "pids",
    1: ["pids", "pids.max"],
    2: ["pids", "pids.max"],
    lacking: "an agent's processes are counted by prlimit alone",
  },
  {
    what: "cpu",
    1: ["cpu", "cpu.cfs_quota_us"],
    2: ["cpu", "cpu.max"],
    lacking: "quota and weight of processor time are not enforced",
  },
  {
    what: "io-rate",
    1: ["blkio", "blkio.throttle.write_bps_device"],
    2: ["io", "io.max"],
    lacking: "io_mb_per_second does nothing",
  },
  {
    what: "io",
    1: ["blkio", "blkio.bfq.weight"],
    2: ["io", "io.weight"],
    lacking: "io_weight does nothing",
  },
  {
    what: "freeze",
    1: ["freezer", "freezer.state"],
    2: ["unified", "cgroup.freeze"],
    lacking: "agents cannot be frozen",
  },
] as const;

/** Rarely there and rarely asked for: a machine without them is no worse than most. */
const MINOR = new Set<string>(["swap", "io", "io-rate"]);

export async function preflightLimits(
  place: CgroupPlace | undefined,
  log: Logger,
): Promise<PreflightFinding[]> {
  if (place === undefined) {
    return [{
      check: "limits",
      severity: "warning",
      message:
        "no control groups here: memory, processor and disk limits of templates are not enforced, an agent can use this whole machine",
      hint:
        "start as root, or as an ordinary user with a systemd session (loginctl enable-linger); else run only agents whose load you accept",
    }];
  }
  try {
    const there = await new Cgroups(place, log).probe(NEEDS.map((need) => need[place.version]));
    return judgeLimits(place.version, there);
  } catch (thrown) {
    return [{
      check: "limits",
      severity: "error",
      message: `the control groups made for the launcher are of no use: ${messageOf(thrown)}`,
      hint: "remove what is left of an earlier start (`deno task down`), and start again",
    }];
  }
}

/** @param there files that a group has */
export function judgeLimits(
  version: CgroupPlace["version"],
  there: readonly string[],
): PreflightFinding[] {
  return NEEDS.map((need) => {
    const [controller, file] = need[version];
    if (there.includes(file)) {
      return {
        check: `limits.${need.what}`,
        severity: "ok",
        message: `${file} (control groups, version ${version})`,
      };
    }
    return {
      check: `limits.${need.what}`,
      severity: MINOR.has(need.what) ? "ok" : "warning",
      message: `${file} is missing: ${need.lacking}`,
      hint: `enable the controller "${controller}" in the kernel`,
    };
  });
}
