// SPDX-License-Identifier: Apache-2.0

/** A machine's inventory from the kernel's own files. Pure: `facts.ts` says where the text comes from. */
import { fact, type Facts, numberFact } from "./facts.ts";

export interface Cpu {
  readonly model: string | null;
  readonly architecture: string | null;
  readonly sockets: number;
  readonly cores: number;
  readonly threads: number;
  readonly l3_cache_kb: number | null;
}

export interface NumaNode {
  readonly id: number;
  readonly cpus: readonly number[];
  readonly memory_bytes: number | null;
}

export interface Gpu {
  readonly vendor: "nvidia" | "amd" | "intel" | "other";
  /** `vendor:device`, as PCI names them. */
  readonly pci_id: string | null;
  /** `0000:01:00.0` */
  readonly pci_slot: string | null;
  /** Of the kernel. */
  readonly driver: string | null;
  readonly model: string | null;
  readonly memory_bytes: number | null;
}

export interface Board {
  readonly vendor: string | null;
  readonly product: string | null;
  readonly board: string | null;
  readonly firmware: string | null;
}

export interface Inventory {
  readonly cpu: Cpu;
  readonly memory_bytes: number | null;
  readonly swap_bytes: number | null;
  readonly numa: readonly NumaNode[];
  readonly gpus: readonly Gpu[];
  readonly board: Board;
}

const CPU = "/sys/devices/system/cpu";
const NODE = "/sys/devices/system/node";
const DMI = "/sys/devices/virtual/dmi/id";

export function inventoryOf(facts: Facts): Inventory {
  return {
    cpu: cpuOf(facts),
    memory_bytes: kilobytes(facts.get("/proc/meminfo"), "MemTotal"),
    swap_bytes: kilobytes(facts.get("/proc/meminfo"), "SwapTotal"),
    numa: numaOf(facts),
    gpus: [...drmGpus(facts), ...nvidiaGpus(facts)],
    board: {
      vendor: fact(facts, `${DMI}/sys_vendor`) ?? fact(facts, `${DMI}/board_vendor`),
      // ARM boards have no DMI; their device tree names them.
      product: fact(facts, `${DMI}/product_name`) ?? fact(facts, "/proc/device-tree/model"),
      board: fact(facts, `${DMI}/board_name`),
      firmware: fact(facts, `${DMI}/bios_version`),
    },
  };
}

/** Cores are told by their socket and number: core 0 is there once a socket. */
function cpuOf(facts: Facts): Cpu {
  const sockets = new Set<number>();
  const cores = new Set<string>();
  let threads = 0;
  for (const path of facts.keys()) {
    const name = /^\/sys\/devices\/system\/cpu\/(cpu\d+)\/topology\/core_id$/.exec(path)?.[1];
    if (name === undefined) continue;
    threads++;
    // -1 where an ARM kernel doesn't know.
    const socket = Math.max(
      0,
      numberFact(facts, `${CPU}/${name}/topology/physical_package_id`) ?? 0,
    );
    sockets.add(socket);
    cores.add(`${socket}/${numberFact(facts, path)}`);
  }
  const info = facts.get("/proc/cpuinfo") ?? "";
  const listed = info.match(/^processor\s*:/gm)?.length ?? 0;
  return {
    model: /^(?:model name|Model|cpu model|Hardware)\s*:\s*(.+)$/m.exec(info)?.[1]?.trim() ?? null,
    architecture: fact(facts, "uname -m"),
    sockets: Math.max(1, sockets.size),
    cores: cores.size || listed || 1,
    threads: threads || listed || 1,
    l3_cache_kb: cacheKb(fact(facts, `${CPU}/cpu0/cache/index3/size`)),
  };
}

/** `32768K` */
function cacheKb(size: string | null): number | null {
  const [, number, unit] = /^(\d+)([KM])$/.exec(size ?? "") ?? [];
  return number === undefined ? null : Number(number) * (unit === "M" ? 1024 : 1);
}

function numaOf(facts: Facts): NumaNode[] {
  return [...facts.keys()].flatMap((path) => {
    const id = /^\/sys\/devices\/system\/node\/node(\d+)\/cpulist$/.exec(path)?.[1];
    return id === undefined ? [] : [{
      id: Number(id),
      cpus: parseList(facts.get(path)!),
      memory_bytes: kilobytes(facts.get(`${NODE}/node${id}/meminfo`), "MemTotal"),
    }];
  }).sort((a, b) => a.id - b.id);
}

/** `0-3,8,10-11` */
export function parseList(text: string): number[] {
  return text.trim().split(",").flatMap((part) => {
    const [, first, last] = /^(\d+)(?:-(\d+))?$/.exec(part.trim()) ?? [];
    if (first === undefined) return [];
    const length = Number(last ?? first) - Number(first) + 1;
    return Array.from(
      { length: Math.min(Math.max(length, 0), 65_536) },
      (_, at) => Number(first) + at,
    );
  });
}

function kilobytes(text: string | undefined, key: string): number | null {
  const found = new RegExp(`\\b${key}:\\s*(\\d+) kB`).exec(text ?? "")?.[1];
  return found === undefined ? null : Number(found) * 1024;
}

const VENDORS: Readonly<Record<string, Gpu["vendor"]>> = {
  "0x10de": "nvidia",
  "0x1002": "amd",
  "0x8086": "intel",
};

/** Those of a kernel driver with a DRM node. NVIDIA's own driver tells more; see below. */
function drmGpus(facts: Facts): Gpu[] {
  const nvidia = [...facts.keys()].some((path) => path.startsWith("/proc/driver/nvidia/gpus/"));
  return [...facts.keys()].sort().flatMap((path) => {
    const card = /^(\/sys\/class\/drm\/card\d+\/device)\/vendor$/.exec(path)?.[1];
    if (card === undefined) return [];
    const id = fact(facts, path)!;
    const vendor = VENDORS[id] ?? "other";
    if (vendor === "nvidia" && nvidia) return [];
    const device = fact(facts, `${card}/device`);
    const uevent = facts.get(`${card}/uevent`) ?? "";
    const said = (name: string) => new RegExp(`^${name}=(.+)$`, "m").exec(uevent)?.[1] ?? null;
    return [{
      vendor,
      pci_id: device === null ? null : `${id.slice(2)}:${device.replace(/^0x/, "")}`,
      pci_slot: said("PCI_SLOT_NAME"),
      driver: said("DRIVER"),
      model: null,
      memory_bytes: numberFact(facts, `${card}/mem_info_vram_total`),
    }];
  });
}

function nvidiaGpus(facts: Facts): Gpu[] {
  return [...facts.keys()].sort().flatMap((path) => {
    const slot = /^\/proc\/driver\/nvidia\/gpus\/([^/]+)\/information$/.exec(path)?.[1];
    if (slot === undefined) return [];
    const model = /^Model:\s*(.+)$/m.exec(facts.get(path)!)?.[1]?.trim() ?? null;
    return [{
      vendor: "nvidia" as const,
      pci_id: null,
      pci_slot: slot,
      driver: "nvidia",
      model,
      memory_bytes: null,
    }];
  });
}
