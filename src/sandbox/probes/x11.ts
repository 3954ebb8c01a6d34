// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "x11",
  title: "draw on or read an X11 display",
  defence: "nothing of the host's /run and /tmp is in it; its environment is empty",
  language: "sh",
  script: String.raw`
[ -z "$XAUTHORITY" ] || breached "XAUTHORITY is set"
nothing_at /tmp/.X11-unix/* /root/.Xauthority /home/*/.Xauthority
`,
  control: { without: ["unbound"], expose: [{ path: "/tmp/.X11-unix/X0", kind: "socket" }] },
});
