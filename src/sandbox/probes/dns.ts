// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "dns",
  title: "ask a name server",
  defence: "a network namespace of its own, and a resolv.conf that names none",
  language: "sh",
  script: String.raw`
if grep -qs '^ *nameserver' /etc/resolv.conf; then breached "resolv.conf names a server"; fi
held "resolv.conf names none"
`,
  control: { without: ["own-etc"] },
});
