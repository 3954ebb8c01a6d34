// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "swap",
  title: "change the machine's swap",
  defence: "seccomp refuses the call before the kernel looks at it",
  language: "perl",
  script: String.raw`
my @said;
push @said, refused("swapon", 1, 0x7ff00000);
push @said, refused("swapoff", 1);
held(join ", ", @said);
`,
  control: { without: "all", needs: "root" },
});
