// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "socket-vsock",
  title: "talk to the hypervisor (AF_VSOCK)",
  defence: "seccomp refuses the family",
  language: "perl",
  script: String.raw`
my ($result, $errno) = kernel("socket", 40, 1, 0);
breached("socket(AF_VSOCK) worked") if $errno == 0;
absent("this kernel has no AF_VSOCK") if !is_filtered() && ($errno == Errno::EAFNOSUPPORT() || $errno == Errno::EPROTONOSUPPORT());
held("socket(AF_VSOCK): $!");
`,
  control: { without: ["seccomp"] },
});
