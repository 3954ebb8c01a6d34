// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "io-uring",
  title: "have the kernel act past the filter (io_uring)",
  defence: "seccomp refuses the call before the kernel looks at it",
  language: "perl",
  script: String.raw`
my @said;
push @said, refused("io_uring_setup", 1, 0);
push @said, refused("io_uring_enter", -1, 0, 0, 0, 0, 0);
push @said, refused("io_uring_register", -1, 0, 0, 0);
held(join ", ", @said);
`,
  control: { without: ["seccomp"] },
});
