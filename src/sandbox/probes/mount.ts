// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "mount",
  title: "mount and unmount",
  defence: "seccomp refuses the call before the kernel looks at it",
  language: "perl",
  script: String.raw`
my @said;
push @said, refused("mount", 1, 1, 1, 0, 0);
push @said, refused("umount2", 1, 0x7ffffff0);
held(join ", ", @said);
`,
  control: { without: ["seccomp"] },
});
