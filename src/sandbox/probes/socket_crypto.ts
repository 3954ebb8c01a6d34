// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "socket-crypto",
  title: "reach the kernel's crypto (AF_ALG)",
  defence: "seccomp refuses the family",
  language: "perl",
  script: String.raw`
my ($result, $errno) = kernel("socket", 38, 5, 0);
breached("socket(AF_ALG) worked") if $errno == 0;
absent("this kernel has no AF_ALG") if !is_filtered() && ($errno == Errno::EAFNOSUPPORT() || $errno == Errno::EPROTONOSUPPORT());
held("socket(AF_ALG): $!");
`,
  control: { without: ["seccomp"] },
});
