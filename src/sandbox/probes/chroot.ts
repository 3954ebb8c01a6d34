// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "chroot",
  title: "change its root (chroot)",
  defence: "no capability, and seccomp",
  language: "perl",
  script: String.raw`
my ($result, $errno) = kernel("chroot", my $path = "/");
breached("chroot worked") if $errno == 0;
held("chroot: $!");
`,
  control: { without: ["no-capabilities", "seccomp"] },
});
