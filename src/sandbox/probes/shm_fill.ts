// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "shm-fill",
  title: "fill the machine's memory through /dev/shm",
  defence: "/dev/shm is a tmpfs with a size",
  language: "sh",
  script: String.raw`
[ -d /dev/shm ] || held "no /dev/shm"
size=$(df -Pk /dev/shm | tail -n 1 | tr -s ' ' | cut -d ' ' -f 2)
total=$(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo)
[ "$size" -gt $((total / 3)) ] && breached "/dev/shm may hold $size kB of $total kB"
held "at most $size kB"
`,
  control: { without: ["sized-tmpfs"] },
});
