// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "kernel-memory",
  title: "read the kernel's or the machine's memory",
  defence: "no such node in /dev; /proc/kcore belongs to root",
  language: "sh",
  script: String.raw`
for file in /dev/mem /dev/kmem /dev/port; do
  [ ! -e "$file" ] || breached "$file is there"
done
if (: </proc/kcore) 2>/dev/null; then breached "/proc/kcore opens"; fi
[ -e /proc/kcore ] || absent "this kernel has none"
held "none is there"
`,
  control: { without: "all", needs: "root" },
});
