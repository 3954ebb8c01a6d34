// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "write-programs",
  title: "change the host's programs",
  defence: "/usr is bound read-only",
  language: "sh",
  script: String.raw`
[ -e /usr ] || absent "no /usr in this sandbox"
# The mount that it lies on: the last of those above it.
# shellcheck disable=SC2046
set -- $(mounts | while read -r place options _ _; do
  case "/usr/" in
    "$place"/*) printf '%s %s\n' "$place" "$options" ;;
  esac
done | tail -n 1)
case ",$2," in
  *,ro,*) ;;
  *) breached "$1 is mounted writable" ;;
esac
if (: >/usr/bureau-probe) 2>/dev/null; then rm -f /usr/bureau-probe; breached "it wrote into /usr"; fi
held "/usr is on a read-only mount"
`,
  control: { without: ["readonly-usr"] },
});
