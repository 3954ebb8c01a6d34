// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "join-namespaces",
  title: "join a namespace (setns)",
  defence: "no capability, and seccomp",
  language: "perl",
  script: String.raw`
open(my $own, "<", "/proc/self/ns/uts") or absent("no /proc/self/ns/uts: $!");
my ($result, $errno) = kernel("setns", fileno($own), 0);
breached("setns worked") if $errno == 0;
held("setns: $!");
`,
  control: { without: ["no-capabilities", "not-root", "no-nesting", "seccomp"] },
});
