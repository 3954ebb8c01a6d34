// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "reboot",
  title: "stop the machine",
  defence: "seccomp refuses the call before the kernel looks at it",
  language: "perl",
  script: String.raw`
my @said;
push @said, refused("reboot", 0, 0, 0, 0);
held(join ", ", @said);
`,
  control: { without: ["no-capabilities", "not-root", "no-nesting", "seccomp"] },
});
