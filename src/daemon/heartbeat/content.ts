// SPDX-License-Identifier: Apache-2.0

/** What is said of a machine, from what was measured. Pure. Matrix knows whole numbers only. */
import type { Inventory } from "../../lib/hwinfo/mod.ts";
import type { MachineInfo, MachineStatus } from "../../lib/schema/mod.ts";
import type { AttentionState } from "../attention/api.ts";
import type { Host } from "./host.ts";

const MB = 1024 * 1024;
/** An event holds 64 KiB: so many principals are told of by themselves, those with the most memory. */
const MAX_PRINCIPALS = 300;

/** One principal as its control groups count it. */
export interface Measured {
  readonly userId: string;
  readonly phase: "starting" | "running";
  readonly frozen: boolean;
  /** Since its start; null: nothing counts it. */
  readonly cpuMs: number | null;
  readonly memoryBytes: number;
  readonly attention?: AttentionState | undefined;
}

/** One moment. */
export interface Sample {
  readonly at: number;
  readonly host: Host;
  readonly principals: readonly Measured[];
}

/**
 * @param hardware as the launcher reads it; null: it could not
 * @param labels an operator's, which stay (W-29)
 */
export function infoOf(
  host: Host,
  hardware: Inventory | null,
  principal: string,
  version: string,
  labels: Record<string, string>,
): MachineInfo {
  const { vendor, product, board } = hardware?.board ??
    { vendor: null, product: null, board: null };
  const name = product ?? board;
  const nodes = hardware?.numa.length ?? 0;
  return {
    version: 1,
    principal,
    hostname: host.hostname,
    kernel_version: host.kernel,
    cpu: hardware === null
      ? { model: host.cpuModel, sockets: 1, cores_per_socket: host.cpus, threads_per_core: 1 }
      : cpuOf(hardware, host),
    memory_total_mb: Math.round(host.memoryTotal / MB),
    swap_total_mb: Math.round(host.swapTotal / MB),
    ...(nodes === 0 ? {} : { numa_nodes: nodes }),
    ...(vendor === null ? {} : { board_vendor: vendor }),
    ...(name === null ? {} : { board_name: name }),
    gpus: (hardware?.gpus ?? []).map((gpu) => ({
      vendor: gpu.vendor,
      // A card of a board without PCI has no slot, and one without a driver none.
      pci_slot: gpu.pci_slot ?? "",
      driver: gpu.driver ?? "",
      ...(gpu.model === null ? {} : { model_name: gpu.model }),
      ...(gpu.pci_id === null ? {} : { pci_device_id: gpu.pci_id }),
      ...(gpu.memory_bytes === null ? {} : { vram_total_bytes: gpu.memory_bytes }),
    })),
    labels,
    daemon_version: version,
  };
}

function cpuOf({ cpu }: Inventory, host: Host): MachineInfo["cpu"] {
  const cores = Math.max(1, Math.round(cpu.cores / cpu.sockets));
  return {
    model: cpu.model ?? host.cpuModel,
    sockets: cpu.sockets,
    cores_per_socket: cores,
    threads_per_core: Math.max(1, Math.round(cpu.threads / (cores * cpu.sockets))),
    ...(cpu.l3_cache_kb === null ? {} : { l3_cache_kb: cpu.l3_cache_kb }),
  };
}

/** @param before an earlier moment, against which CPU time is counted */
export function statusOf(before: Sample, now: Sample, principal: string): MachineStatus {
  const total = now.host.cpuTotal - before.host.cpuTotal;
  const elapsed = Math.max(1, now.at - before.at);
  const earlier = new Map(before.principals.map((one) => [one.userId, one.cpuMs]));
  const told = [...now.principals]
    .filter(({ cpuMs }) => cpuMs !== null)
    .sort((a, b) => b.memoryBytes - a.memoryBytes)
    .slice(0, MAX_PRINCIPALS);
  const live = now.principals;
  return {
    version: 1,
    principal,
    cpu_percent: total <= 0 ? 0 : percent((now.host.cpuBusy - before.host.cpuBusy) / total),
    memory_used_mb: Math.round(now.host.memoryUsed / MB),
    sandboxes: { running: live.length, idle: live.filter(({ frozen }) => frozen).length },
    uptime_seconds: Math.round(now.host.uptimeSeconds),
    principals: Object.fromEntries(
      told.map(({ userId, cpuMs, memoryBytes, frozen, phase, attention }) => {
        // Started in between: what it used, it used since.
        const since = earlier.get(userId) ?? 0;
        const used = cpuMs! >= since ? cpuMs! - since : cpuMs!;
        return [userId, {
          // Of one CPU: a principal with two busy threads uses 200.
          cpu_percent: Math.max(0, Math.round(100 * used / elapsed)),
          memory_mb: Math.round(memoryBytes / MB),
          status: frozen ? "idle" as const : phase,
          ...(attention === undefined ? {} : { attention }),
        }];
      }),
    ),
  };
}

function percent(share: number): number {
  return Math.min(100, Math.max(0, Math.round(100 * share)));
}

/** Whether `next` differs so much from what the room says that it is worth an event before its time. */
export function isNews(last: MachineStatus, next: MachineStatus): boolean {
  if (
    last.sandboxes.running !== next.sandboxes.running ||
    last.sandboxes.idle !== next.sandboxes.idle ||
    Math.abs(last.cpu_percent - next.cpu_percent) > 5 ||
    Math.abs(last.memory_used_mb - next.memory_used_mb) > 100
  ) return true;
  const before = last.principals ?? {};
  const after = next.principals ?? {};
  if (Object.keys(before).length !== Object.keys(after).length) return true;
  return Object.entries(after).some(([userId, now]) => {
    const then = before[userId];
    return then === undefined || then.status !== now.status ||
      needs(then.attention) !== needs(now.attention) ||
      Math.abs(then.cpu_percent - now.cpu_percent) > 3 ||
      Math.abs(then.memory_mb - now.memory_mb) > 50;
  });
}

/** Who works and who is idle changes all the time: that is no news. */
function needs(attention: AttentionState | undefined): boolean {
  return attention !== undefined && attention !== "working" && attention !== "idle";
}
