// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "capabilities-of-root",
  title: "keep the capabilities of a root caller",
  defence: "--cap-drop ALL: without it bwrap leaves a root caller every one",
  language: "perl",
  script: String.raw`
open(my $status, "<", "/proc/self/status") or absent("no /proc/self/status");
foreach (<$status>) { breached("CapEff is $1") if /^CapEff:\s+(\w*[1-9a-f]\w*)/ }
held("CapEff is empty");
`,
  control: { without: ["not-root", "kept-capabilities"], needs: "root" },
});
