// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "dev-fill",
  title: "fill the machine's memory through /dev",
  defence: "/dev is remounted read-only",
  language: "sh",
  script: String.raw`
if (: >/dev/bureau-probe) 2>/dev/null; then rm -f /dev/bureau-probe; breached "it wrote into /dev"; fi
held "/dev takes no file"
`,
  control: { without: ["readonly-dev"] },
});
