// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "device-mounts",
  title: "use a device node that lies in a bind",
  defence: "binds are mounted nodev",
  language: "sh",
  script: String.raw`
found=$(mounts | while read -r place options _ _; do
  case "$place" in /dev/?*) continue ;; esac
  case ",$options," in *,nodev,*) ;; *) echo "$place" ;; esac
done | head -n 1)
[ -z "$found" ] || breached "device nodes count below $found"
held "every mount is nodev but the nodes of /dev"
`,
  control: { without: "all" },
});
