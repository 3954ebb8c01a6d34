// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "write-proxy-directory",
  title: "put another socket in the place of its proxy's",
  defence: "the proxy's directory is bound read-only",
  language: "sh",
  script: String.raw`
[ -e /run/bureau/agent ] || absent "no /run/bureau/agent in this sandbox"
# The mount that it lies on: the last of those above it.
# shellcheck disable=SC2046
set -- $(mounts | while read -r place options _ _; do
  case "/run/bureau/agent/" in
    "$place"/*) printf '%s %s\n' "$place" "$options" ;;
  esac
done | tail -n 1)
case ",$2," in
  *,ro,*) ;;
  *) breached "$1 is mounted writable" ;;
esac
if (: >/run/bureau/agent/bureau-probe) 2>/dev/null; then rm -f /run/bureau/agent/bureau-probe; breached "it wrote into /run/bureau/agent"; fi
held "/run/bureau/agent is on a read-only mount"
`,
  control: { without: ["readonly-proxy"] },
});
