// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "bpf",
  title: "load a program into the kernel (bpf)",
  defence: "seccomp refuses the call before the kernel looks at it",
  language: "perl",
  script: String.raw`
my @said;
push @said, refused("bpf", 9999, 0, 0);
held(join ", ", @said);
`,
  control: { without: "all", needs: "root" },
});
