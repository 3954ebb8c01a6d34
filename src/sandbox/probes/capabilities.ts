// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "capabilities",
  title: "hold a capability",
  defence: "--cap-drop ALL, given explicitly",
  language: "perl",
  script: String.raw`
open(my $status, "<", "/proc/self/status") or absent("no /proc/self/status");
foreach (<$status>) { breached("$1 is $2") if /^(Cap\w+):\s+(\w*[1-9a-f]\w*)/ }
held("all five sets are empty");
`,
  control: { without: ["no-capabilities"] },
});
