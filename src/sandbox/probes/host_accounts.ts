// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "host-accounts",
  title: "read the host's accounts",
  defence: "an /etc made from scratch",
  language: "sh",
  script: String.raw`
[ ! -e /etc/machine-id ] || [ ! -s /etc/machine-id ] || breached "/etc/machine-id says which machine this is"
[ -r /etc/passwd ] || held "no /etc/passwd"
others=$(cut -d : -f 1 /etc/passwd | grep -vxE 'root|agent|nobody' | head -n 1)
[ -z "$others" ] || breached "it knows the account $others"
held "root, agent and nobody only"
`,
  control: { without: ["own-etc"] },
});
