// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "other-principals",
  title: "see another principal's directory",
  defence: "only its own agent directory is bound",
  language: "sh",
  script: String.raw`
count=0
for dir in /run/bureau/p/* /var/lib/bureau/* /run/*/p/*/agent; do
  [ ! -e "$dir" ] || breached "$dir is there"
done
held "none is there"
`,
  control: {
    without: ["unbound"],
    expose: [{ path: "/run/host/p/0123456789abcdef/agent/proxy.sock", kind: "socket" }],
  },
});
