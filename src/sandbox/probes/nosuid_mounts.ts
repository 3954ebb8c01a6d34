// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "nosuid-mounts",
  title: "find a mount that honours setuid bits",
  defence: "bwrap mounts everything nosuid",
  language: "sh",
  script: String.raw`
mounts | while read -r place options kind _; do
  case ",$options," in
    *,nosuid,*) ;;
    *) printf '%s ' "$place" ;;
  esac
done >/dev/shm/probe-nosuid 2>/dev/null || absent "no scratch directory"
found=$(cat /dev/shm/probe-nosuid); rm -f /dev/shm/probe-nosuid
[ -z "$found" ] && held "all are nosuid"
breached "setuid bits count below $found"
`,
  control: { without: "all" },
});
