// SPDX-License-Identifier: Apache-2.0

/**
 * What this machine is made of. Deno reads nothing below /sys without every permission there is, and the daemon reads no
 * file of the machine at all: a fixed shell script reads the kernel's files, in a throw-away cell that sees only those.
 */
import { type Facts, inventoryOf, parseFacts } from "../lib/hwinfo/mod.ts";
import { spawn } from "../lib/process/mod.ts";
import { programArguments, seccompHere } from "../sandbox/mod.ts";
import { LauncherError } from "./errors.ts";
import type { Hardware } from "./hardware_api.ts";

const BWRAP = "/usr/bin/bwrap";
const DEADLINE_MS = 10_000;

/** Shell patterns; `tasks/facts.sh` has each of them as well. */
export const HARDWARE_FILES = [
  "/sys/devices/virtual/dmi/id/sys_vendor",
  "/sys/devices/virtual/dmi/id/board_vendor",
  "/sys/devices/virtual/dmi/id/board_name",
  "/sys/devices/virtual/dmi/id/product_name",
  "/sys/devices/virtual/dmi/id/bios_version",
  "/sys/devices/system/cpu/cpu0/cache/index3/size",
  "/sys/devices/system/cpu/cpu[0-9]*/topology/core_id",
  "/sys/devices/system/cpu/cpu[0-9]*/topology/physical_package_id",
  "/sys/devices/system/node/node[0-9]*/cpulist",
  "/sys/devices/system/node/node[0-9]*/meminfo",
  "/sys/class/drm/card[0-9]*/device/vendor",
  "/sys/class/drm/card[0-9]*/device/device",
  "/sys/class/drm/card[0-9]*/device/uevent",
  "/sys/class/drm/card[0-9]*/device/mem_info_vram_total",
  "/proc/driver/nvidia/gpus/*/information",
  "/proc/meminfo",
] as const;

/** No program a file: a machine may have hundreds of processors. */
const SCRIPT = `show() {
  printf '== %s\\n' "$1"
  while IFS= read -r line; do printf ' %s\\n' "$line"; done
}
for file in ${HARDWARE_FILES.join(" ")}; do
  [ ! -f "$file" ] || [ ! -r "$file" ] || show "$file" <"$file"
done 2>/dev/null
[ ! -r /proc/cpuinfo ] || head -c 65536 /proc/cpuinfo | show /proc/cpuinfo
model=/sys/firmware/devicetree/base/model
[ ! -r $model ] || { tr -d '\\000' <$model; echo; } | show /proc/device-tree/model
uname -m | show 'uname -m'`;

/** @param root what stands in the place of `/` for the kernel's files: tests have machines of their own */
export async function readHardware(root = ""): Promise<Hardware> {
  const { cpu, board, numa, gpus, memory_bytes, swap_bytes } = inventoryOf(await readFacts(root));
  return {
    ...{ cpu, board, memory_bytes, swap_bytes },
    numa: numa.map((node) => ({ ...node, cpus: [...node.cpus] })),
    gpus: [...gpus],
  };
}

async function readFacts(root: string): Promise<Facts> {
  const cell = spawn([BWRAP, ...cellArguments(root), "--", "/bin/sh", "-c", SCRIPT], {
    env: { PATH: "/usr/bin:/bin" },
    data: [seccompHere("networkless")],
    keep: true,
  });
  const timer = setTimeout(() => cell.kill(), DEADLINE_MS);
  const { success, stdout, stderr } = await cell.output.finally(() => clearTimeout(timer));
  if (success) return parseFacts(new TextDecoder().decode(stdout));
  const said = new TextDecoder().decode(stderr).trim().split("\n").at(-1);
  throw new LauncherError(
    "hardware-unknown",
    `Cannot read what this machine is made of: ${said || "its cell ended too early"}`,
    { hint: "`bureau doctor` says what this machine lacks" },
  );
}

function cellArguments(root: string): string[] {
  const seen = [
    ...["/sys/class/drm", "/sys/devices", "/sys/firmware/devicetree"],
    ...["/proc/cpuinfo", "/proc/meminfo", "/proc/driver/nvidia"],
  ];
  return [
    ...["--unshare-user", "--unshare-all", "--new-session", "--die-with-parent"],
    ...["--cap-drop", "ALL", "--clearenv", "--setenv", "PATH", "/usr/bin:/bin"],
    ...programArguments(),
    ...["--dev", "/dev"],
    ...seen.flatMap((path) => ["--ro-bind-try", root + path, path]),
    ...["--remount-ro", "/", "--chdir", "/", "--seccomp", "3"],
  ];
}
