// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "service-manager",
  title: "ask systemd for anything",
  defence: "nothing of the host's /run and /tmp is in it; its environment is empty",
  language: "sh",
  script: String.raw`
[ -z "$NOTIFY_SOCKET" ] || breached "NOTIFY_SOCKET is set"
nothing_at /run/systemd /run/initctl
`,
  control: { without: ["unbound"], expose: [{ path: "/run/systemd/private", kind: "socket" }] },
});
