// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "write-contract",
  title: "change its own payload",
  defence: "the contract directory is bound read-only",
  language: "sh",
  script: String.raw`
[ -e /run/bureau/contract ] || absent "no /run/bureau/contract in this sandbox"
# The mount that it lies on: the last of those above it.
# shellcheck disable=SC2046
set -- $(mounts | while read -r place options _ _; do
  case "/run/bureau/contract/" in
    "$place"/*) printf '%s %s\n' "$place" "$options" ;;
  esac
done | tail -n 1)
case ",$2," in
  *,ro,*) ;;
  *) breached "$1 is mounted writable" ;;
esac
if (: >/run/bureau/contract/bureau-probe) 2>/dev/null; then rm -f /run/bureau/contract/bureau-probe; breached "it wrote into /run/bureau/contract"; fi
held "/run/bureau/contract is on a read-only mount"
`,
  control: { without: ["readonly-contract"] },
});
