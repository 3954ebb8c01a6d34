// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "keyring-read",
  title: "reach the kernel's keyrings (keyctl)",
  defence: "seccomp refuses the call before the kernel looks at it",
  language: "perl",
  script: String.raw`
my @said;
push @said, refused("keyctl", 0, -3, 0);
held(join ", ", @said);
`,
  control: { without: ["seccomp"] },
});
