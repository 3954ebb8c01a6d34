// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "sysrq",
  title: "press the magic key (/proc/sysrq-trigger)",
  defence: "bwrap mounts them read-only, and they belong to root",
  language: "sh",
  script: String.raw`
seen=0
for file in /proc/sysrq-trigger; do
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
