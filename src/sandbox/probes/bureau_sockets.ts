// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "bureau-sockets",
  title: "reach Bureau's own sockets",
  defence: "only the proxy's agent socket is bound",
  language: "sh",
  script: String.raw`
found=$(timeout 10 find /run /tmp /opt -type s ! -path /run/bureau/agent/proxy.sock 2>/dev/null |
  grep -E '/(admin|egress|tmux|relay|launcher|daemon|up)\.sock$' | head -n 1)
[ -z "$found" ] || breached "$found is there"
held "none but its proxy's"
`,
  control: {
    without: ["unbound"],
    expose: [{ path: "/run/bureau-admin/admin.sock", kind: "socket" }],
  },
});
