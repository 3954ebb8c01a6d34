// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "kernel-modules",
  title: "load or remove kernel modules",
  defence: "seccomp refuses the call before the kernel looks at it",
  language: "perl",
  script: String.raw`
my @said;
push @said, refused("init_module", 1, 0, 1);
push @said, refused("finit_module", -1, 1, 0x7ffffff0);
push @said, refused("delete_module", 1, 0);
held(join ", ", @said);
`,
  control: { without: "all", needs: "root" },
});
