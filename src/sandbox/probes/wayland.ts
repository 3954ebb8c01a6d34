// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "wayland",
  title: "draw on or read a Wayland display",
  defence: "nothing of the host's /run and /tmp is in it; its environment is empty",
  language: "sh",
  script: String.raw`
[ -z "$WAYLAND_DISPLAY" ] || breached "WAYLAND_DISPLAY is set"
nothing_at /run/user/*/wayland-*
`,
  control: { without: ["unbound"], expose: [{ path: "/run/user/0/wayland-0", kind: "socket" }] },
});
