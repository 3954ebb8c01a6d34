// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "cgroup-files",
  title: "change its own limits (cgroup files)",
  defence: "no cgroup file system is mounted",
  language: "sh",
  script: String.raw`
found=$(mounts | while read -r place _ kind _; do
  case "$kind" in cgroup*) echo "$place" ;; esac
done | head -n 1)
[ -z "$found" ] || breached "$found is a cgroup file system"
[ ! -e /sys/fs/cgroup ] || breached "/sys/fs/cgroup is there"
held "none is mounted"
`,
  control: {
    without: ["unbound"],
    expose: [{ path: "/sys/fs/cgroup/cgroup.procs", kind: "file" }],
  },
});
