// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { HARDWARE_FILES, readHardware } from "./hardware.ts";

/** A machine's kernel files below a directory of ours. */
async function withMachine(
  files: Readonly<Record<string, string>>,
  use: (root: string) => Promise<void>,
): Promise<void> {
  const root = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-hw" });
  try {
    for (const [path, text] of Object.entries(files)) {
      await Deno.mkdir(root + path.slice(0, path.lastIndexOf("/")), { recursive: true });
      await Deno.writeTextFile(root + path, text);
    }
    await use(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

const CARD = "/sys/devices/pci0000:00/0000:03:00.0";

Deno.test("readHardware() tells what the kernel's files say: processors, NUMA, board and graphics cards", async () => {
  const topology = Object.fromEntries([0, 1, 2, 3].flatMap((cpu) => [
    [`/sys/devices/system/cpu/cpu${cpu}/topology/core_id`, `${cpu >> 1}\n`],
    [`/sys/devices/system/cpu/cpu${cpu}/topology/physical_package_id`, "0\n"],
  ]));
  await withMachine({
    ...topology,
    "/proc/cpuinfo": "processor\t: 0\nmodel name\t: Some CPU\n",
    "/proc/meminfo": "MemTotal:  1024 kB\nSwapTotal:  0 kB\n",
    "/sys/devices/system/cpu/cpu0/cache/index3/size": "32768K\n",
    "/sys/devices/system/node/node0/cpulist": "0-3\n",
    "/sys/devices/system/node/node0/meminfo": "Node 0 MemTotal:  1024 kB\nNode 0 MemFree: 1 kB\n",
    "/sys/devices/virtual/dmi/id/sys_vendor": "ACME\n",
    "/sys/devices/virtual/dmi/id/product_name": "Anvil\n",
    [`${CARD}/vendor`]: "0x1002\n",
    [`${CARD}/device`]: "0x744c\n",
    [`${CARD}/uevent`]: "DRIVER=amdgpu\nPCI_SLOT_NAME=0000:03:00.0\n",
    [`${CARD}/mem_info_vram_total`]: "1048576\n",
    [`${CARD}/drm/card0/dev`]: "226:0\n",
    "/sys/class/drm/version": "drm 1.1.0\n",
    "/sys/firmware/devicetree/base/model": "A board\0",
    // What a planted name could do: nothing, for the script has no file's name of its own.
    "/sys/class/drm/$(touch x)": "",
  }, async (root) => {
    await Deno.symlink("../..", `${root}${CARD}/drm/card0/device`);
    await Deno.symlink(`../..${CARD.slice(4)}/drm/card0`, `${root}/sys/class/drm/card0`);
    const { cpu, numa, board, gpus, memory_bytes } = await readHardware(root);
    assert.deepEqual({ ...cpu, architecture: null }, {
      model: "Some CPU",
      architecture: null,
      sockets: 1,
      cores: 2,
      threads: 4,
      l3_cache_kb: 32768,
    });
    assert.deepEqual(numa, [{ id: 0, cpus: [0, 1, 2, 3], memory_bytes: 1024 * 1024 }]);
    assert.equal(memory_bytes, 1024 * 1024);
    assert.deepEqual([board.vendor, board.product, board.firmware], ["ACME", "Anvil", null]);
    assert.deepEqual(gpus, [{
      vendor: "amd",
      pci_id: "1002:744c",
      pci_slot: "0000:03:00.0",
      driver: "amdgpu",
      model: null,
      memory_bytes: 1048576,
    }]);
  });
});

Deno.test("readHardware() knows this machine's processors, and a machine that says nothing is no failure", async () => {
  const { cpu, memory_bytes } = await readHardware();
  assert.ok(cpu.threads >= 1 && cpu.cores >= 1 && cpu.sockets >= 1);
  assert.equal(cpu.architecture, Deno.build.arch);
  assert.ok(memory_bytes! > 0);
  await withMachine({}, async (root) => {
    const nothing = await readHardware(root);
    assert.deepEqual([nothing.gpus, nothing.numa, nothing.memory_bytes], [[], [], null]);
  });
});

Deno.test("bureau doctor reads the same files", async () => {
  const text = await Deno.readTextFile(new URL("../../tasks/facts.sh", import.meta.url));
  for (const file of HARDWARE_FILES) assert.ok(text.includes(file), file);
});
