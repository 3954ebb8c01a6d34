// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "mount-api",
  title: "use the newer mount calls",
  defence: "seccomp refuses the call before the kernel looks at it",
  language: "perl",
  script: String.raw`
my @said;
push @said, refused("open_tree", -100, my $root = "/", 0);
push @said, refused("fsconfig", -1, 0, 0, 0, 0);
held(join ", ", @said);
`,
  control: { without: ["seccomp"] },
});
