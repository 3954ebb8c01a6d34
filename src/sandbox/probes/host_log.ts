// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "host-log",
  title: "write into the host's log",
  defence: "nothing of the host's /run and /tmp is in it; its environment is empty",
  language: "sh",
  script: String.raw`
nothing_at /dev/log /run/systemd/journal
`,
  control: {
    without: ["unbound"],
    expose: [{ path: "/run/systemd/journal/socket", kind: "socket" }],
  },
});
