// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "unshare-mounts",
  title: "make a mount namespace",
  defence: "no capability, and seccomp",
  language: "perl",
  script: String.raw`
my ($result, $errno) = kernel("unshare", 0x00020000);
breached("unshare(CLONE_NEWNS) worked") if $errno == 0;
held("unshare(CLONE_NEWNS): $!");
`,
  control: { without: ["no-capabilities", "seccomp"] },
});
