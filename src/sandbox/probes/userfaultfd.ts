// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "userfaultfd",
  title: "stop the kernel at a page fault (userfaultfd)",
  defence: "seccomp refuses the call before the kernel looks at it",
  language: "perl",
  script: String.raw`
my @said;
push @said, refused("userfaultfd", 1);
held(join ", ", @said);
`,
  control: { without: ["seccomp"] },
});
