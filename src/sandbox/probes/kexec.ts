// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "kexec",
  title: "start another kernel (kexec)",
  defence: "seccomp refuses the call before the kernel looks at it",
  language: "perl",
  script: String.raw`
my @said;
push @said, refused("kexec_load", 0, 0, 0, 0x7fffffff);
held(join ", ", @said);
`,
  control: { without: "all", needs: "root" },
});
