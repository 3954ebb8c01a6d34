// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "no-new-privileges",
  title: "gain privileges by exec",
  defence: "no_new_privs, set by bwrap",
  language: "perl",
  script: String.raw`
open(my $status, "<", "/proc/self/status") or absent("no /proc/self/status");
foreach (<$status>) { if (/^NoNewPrivs:\s+(\d)/) { $1 ? held("set") : breached("not set") } }
absent("this kernel does not say");
`,
  control: { without: "all" },
});
