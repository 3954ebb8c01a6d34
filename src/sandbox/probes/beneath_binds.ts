// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "beneath-binds",
  title: "have something mounted beneath what it may write",
  defence: "the plan refuses it (CVE-2026-87766); protected paths are pinned and read-only",
  language: "sh",
  script: String.raw`
list=$(mounts)
printf '%s\n' "$list" | while read -r outer options kind _; do
  case "$outer" in /|/proc|/proc/*|/dev|/dev/*) continue ;; esac
  case ",$options," in *,rw,*) ;; *) continue ;; esac
  case "$kind" in tmpfs) continue ;; esac
  printf '%s\n' "$list" | while read -r inner inner_options inner_kind _; do
    case "$inner" in "$outer"/*) ;; *) continue ;; esac
    case ",$inner_options," in
      *,ro,*) ;;
      # A pin: the way to a protected path, writable as what it lies in.
      *) printf '%s\n' "$list" | grep -q "^$inner/[^ ]* ro," && [ "$inner_kind" = "$kind" ] || echo "$inner" ;;
    esac
  done
done >/dev/shm/probe-beneath 2>/dev/null
found=$(head -n 1 /dev/shm/probe-beneath); rm -f /dev/shm/probe-beneath
[ -z "$found" ] || breached "$found is mounted beneath what it may write"
held "nothing writable is mounted beneath a writable bind"
`,
  control: { without: ["nothing-beneath"] },
});
