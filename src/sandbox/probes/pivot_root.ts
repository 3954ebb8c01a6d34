// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "pivot-root",
  title: "exchange its root (pivot_root)",
  defence: "seccomp refuses the call before the kernel looks at it",
  language: "perl",
  script: String.raw`
my @said;
push @said, refused("pivot_root", 1, 1);
held(join ", ", @said);
`,
  control: { without: ["no-capabilities", "not-root", "no-nesting", "seccomp"] },
});
