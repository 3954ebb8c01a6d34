// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "scratch-fill",
  title: "fill the machine's memory with scratch files",
  defence: "each tmpfs has a size",
  language: "sh",
  script: String.raw`
found=$(mounts | while read -r place options kind own; do
  [ "$kind" = tmpfs ] || continue
  case "$options" in ro,*|ro) continue ;; esac
  case ",$own," in *,size=*) ;; *) echo "$place" ;; esac
done | head -n 1)
[ -z "$found" ] || breached "$found has no size"
held "each has a size, or is read-only"
`,
  control: { without: ["sized-tmpfs"] },
});
