// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "setuid-bwrap",
  title: "use a setuid bwrap",
  defence: "preflight refuses a setuid bwrap (CVE-2026-41163)",
  language: "sh",
  script: String.raw`
[ -e /usr/bin/bwrap ] || absent "no bwrap in the sandbox"
[ -u /usr/bin/bwrap ] && breached "/usr/bin/bwrap is setuid"
held "/usr/bin/bwrap is not setuid"
`,
  control: { without: ["bwrap-not-setuid"] },
});
