// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "cgroup-names",
  title: "learn which control group of the host it is in",
  defence: "a cgroup namespace of its own",
  language: "sh",
  script: String.raw`
[ -r /proc/self/cgroup ] || absent "no /proc/self/cgroup"
while IFS=: read -r _ controller path; do
  case "$path" in
    /|/..|/../*) ;;
    *) breached "$controller is in $path" ;;
  esac
done </proc/self/cgroup
held "each path is / or hidden"
`,
  control: { without: ["own-cgroup"] },
});
