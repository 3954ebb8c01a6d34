// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "dbus",
  title: "talk to D-Bus",
  defence: "nothing of the host's /run and /tmp is in it; its environment is empty",
  language: "sh",
  script: String.raw`
[ -z "$DBUS_SESSION_BUS_ADDRESS" ] || breached "DBUS_SESSION_BUS_ADDRESS is set"
nothing_at /run/dbus/system_bus_socket /var/run/dbus /run/user/*/bus
`,
  control: {
    without: ["unbound"],
    expose: [{ path: "/run/dbus/system_bus_socket", kind: "socket" }],
  },
});
