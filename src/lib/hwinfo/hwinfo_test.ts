// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { inventoryOf, parseFacts, parseList } from "./mod.ts";

const topology = (cpu: number, socket: number, core: number): [string, string][] => [
  [`/sys/devices/system/cpu/cpu${cpu}/topology/core_id`, `${core}\n`],
  [`/sys/devices/system/cpu/cpu${cpu}/topology/physical_package_id`, `${socket}\n`],
];

Deno.test("inventoryOf() counts sockets, cores and threads, and NUMA nodes with their memory", () => {
  const facts = new Map([
    ...[0, 1, 2, 3, 4, 5, 6, 7].flatMap((cpu) => topology(cpu, cpu < 4 ? 0 : 1, cpu % 2)),
    ["/sys/devices/system/cpu/cpu0/cache/index3/size", "43008K\n"],
    ["/proc/cpuinfo", "processor\t: 0\nmodel name\t: Intel(R) Xeon(R) Gold 6330\n"],
    ["/proc/meminfo", "MemTotal:       131072 kB\nSwapTotal:           0 kB\n"],
    ["/sys/devices/system/node/node1/cpulist", "4-7\n"],
    ["/sys/devices/system/node/node1/meminfo", "Node 1 MemTotal:       65536 kB\n"],
    ["/sys/devices/system/node/node0/cpulist", "0-3\n"],
    ["/sys/devices/system/node/node0/meminfo", "Node 0 MemTotal:       65536 kB\n"],
    ["/sys/devices/virtual/dmi/id/sys_vendor", "Dell Inc.\n"],
    ["/sys/devices/virtual/dmi/id/product_name", "PowerEdge R750\n"],
  ]);
  const { cpu, memory_bytes, swap_bytes, numa, board } = inventoryOf(facts as Map<string, string>);
  assert.deepEqual(cpu, {
    model: "Intel(R) Xeon(R) Gold 6330",
    architecture: null,
    sockets: 2,
    cores: 4,
    threads: 8,
    l3_cache_kb: 43008,
  });
  assert.equal(memory_bytes, 128 * 1024 * 1024);
  assert.equal(swap_bytes, 0);
  assert.deepEqual(numa, [
    { id: 0, cpus: [0, 1, 2, 3], memory_bytes: 64 * 1024 * 1024 },
    { id: 1, cpus: [4, 5, 6, 7], memory_bytes: 64 * 1024 * 1024 },
  ]);
  assert.equal(board.vendor, "Dell Inc.");
  assert.equal(board.product, "PowerEdge R750");
});

Deno.test("inventoryOf() tells graphics cards of three vendors, each once", () => {
  const card = (at: number, vendor: string, device: string): [string, string][] => [
    [`/sys/class/drm/card${at}/device/vendor`, vendor],
    [`/sys/class/drm/card${at}/device/device`, device],
  ];
  const { gpus } = inventoryOf(
    new Map([
      ...card(0, "0x8086", "0x4680"),
      ...card(1, "0x1002", "0x744c"),
      [
        "/sys/class/drm/card1/device/uevent",
        "DRIVER=amdgpu\nPCI_ID=1002:744C\nPCI_SLOT_NAME=0000:03:00.0\n",
      ],
      ["/sys/class/drm/card1/device/mem_info_vram_total", "25753026560"],
      ...card(2, "0x10de", "0x2684"),
      ["/proc/driver/nvidia/gpus/0000:01:00.0/information", "Model: \t NVIDIA GeForce RTX 4090\n"],
    ]),
  );
  const none = { model: null, memory_bytes: null, pci_id: null, pci_slot: null, driver: null };
  assert.deepEqual(gpus, [
    { ...none, vendor: "intel", pci_id: "8086:4680" },
    {
      ...none,
      vendor: "amd",
      pci_id: "1002:744c",
      pci_slot: "0000:03:00.0",
      driver: "amdgpu",
      memory_bytes: 25753026560,
    },
    {
      ...none,
      vendor: "nvidia",
      pci_slot: "0000:01:00.0",
      driver: "nvidia",
      model: "NVIDIA GeForce RTX 4090",
    },
  ]);
});

Deno.test("inventoryOf() takes an ARM board's name from its device tree, and knows when it knows nothing", () => {
  const facts = parseFacts(
    "== /proc/device-tree/model\n Raspberry Pi 5 Model B Rev 1.0\n== uname -m\n aarch64\n" +
      "== /sys/devices/system/cpu/cpu0/topology/core_id\n 0\n" +
      "== /sys/devices/system/cpu/cpu0/topology/physical_package_id\n -1\n",
  );
  const { board, cpu } = inventoryOf(facts);
  assert.equal(board.product, "Raspberry Pi 5 Model B Rev 1.0");
  assert.deepEqual([cpu.architecture, cpu.sockets, cpu.cores], ["aarch64", 1, 1]);
  const nothing = inventoryOf(new Map());
  assert.equal(nothing.memory_bytes, null);
  assert.deepEqual(nothing.numa, []);
  assert.deepEqual(nothing.cpu, {
    model: null,
    architecture: null,
    sockets: 1,
    cores: 1,
    threads: 1,
    l3_cache_kb: null,
  });
});

Deno.test("parseList() reads the kernel's ranges", () => {
  assert.deepEqual(parseList("0-2,5,7-8\n"), [0, 1, 2, 5, 7, 8]);
  assert.deepEqual(parseList(""), []);
  assert.deepEqual(parseList("3-1"), []);
});
