// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "bureau-sockets",
  title: "reach Bureau's own sockets",
  defence: "only the proxy's agent socket is bound",
  language: "sh",
  script: String.raw`
# Not by -type: a bound socket stands on a file, and that is what a directory's list says.
found=$(timeout 10 find /run /tmp /opt \( -name admin.sock -o -name egress.sock -o -name tmux.sock -o \
  -name relay.sock -o -name launcher.sock -o -name daemon.sock -o -name up.sock \) 2>/dev/null | head -n 1)
[ -z "$found" ] || breached "$found is there"
held "none but its proxy's"
`,
  control: {
    without: ["unbound"],
    expose: [{ path: "/run/bureau-admin/admin.sock", kind: "socket" }],
  },
});
