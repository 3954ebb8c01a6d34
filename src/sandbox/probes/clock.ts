// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "clock",
  title: "set the machine's clock",
  defence: "seccomp refuses the call before the kernel looks at it",
  language: "perl",
  script: String.raw`
my @said;
push @said, refused("clock_settime", 0, 1);
push @said, refused("settimeofday", 1, 0);
push @said, refused("adjtimex", 1);
held(join ", ", @said);
`,
  control: { without: ["seccomp"] },
});
