// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "sysctl",
  title: "change the kernel's settings",
  defence: "bwrap mounts them read-only, and they belong to root",
  language: "sh",
  script: String.raw`
seen=0
for file in /proc/sys/kernel/hostname /proc/sys/kernel/randomize_va_space /proc/sys/vm/drop_caches /proc/sys/net/ipv4/ip_forward /proc/sys/user/max_user_namespaces; do
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
