// SPDX-License-Identifier: Apache-2.0

/** What the operating system tells this process of the machine. Permissions: `sys` alone; it may read no /proc. */
import { cpus } from "node:os";

export interface Host {
  readonly hostname: string;
  readonly kernel: string;
  readonly cpuModel: string;
  /** Logical ones. */
  readonly cpus: number;
  /** Of all of them, since the boot; ms. */
  readonly cpuBusy: number;
  readonly cpuTotal: number;
  readonly memoryTotal: number;
  /** What a program could not have: the page cache is not in it. */
  readonly memoryUsed: number;
  readonly swapTotal: number;
  readonly uptimeSeconds: number;
}

export function readHost(): Host {
  const { total, available, swapTotal } = Deno.systemMemoryInfo();
  const all = cpus();
  let busy = 0;
  let idle = 0;
  for (const { times } of all) {
    busy += times.user + times.nice + times.sys + times.irq;
    idle += times.idle;
  }
  return {
    hostname: Deno.hostname(),
    kernel: Deno.osRelease(),
    cpuModel: all[0]?.model ?? "unknown",
    cpus: Math.max(1, all.length),
    cpuBusy: busy,
    cpuTotal: busy + idle,
    memoryTotal: total,
    memoryUsed: Math.max(0, total - available),
    swapTotal,
    uptimeSeconds: Deno.osUptime(),
  };
}
