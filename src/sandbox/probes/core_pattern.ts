// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "core-pattern",
  title: "have the kernel run a program at a crash (core_pattern)",
  defence: "bwrap mounts them read-only, and they belong to root",
  language: "sh",
  script: String.raw`
seen=0
for file in /proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe /proc/sys/fs/binfmt_misc/register; do
  [ -e "$file" ] || continue
  seen=$((seen + 1))
  # Opened and closed: nothing is written.
  if (: >>"$file") 2>/dev/null; then breached "$file opens for writing"; fi
done
[ "$seen" -gt 0 ] || absent "none is there"
held "$seen files, none opens for writing"
`,
  control: { without: "all", needs: "root" },
});
