// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "kernel-objects",
  title: "see the machine's devices and buses (/sys)",
  defence: "/sys is not mounted",
  language: "sh",
  script: String.raw`
if [ -e /sys/kernel ] || [ -e /sys/class ]; then breached "/sys is there"; fi
held "no /sys"
`,
  control: { without: ["unbound"], expose: [{ path: "/sys/kernel/uevent_helper", kind: "file" }] },
});
