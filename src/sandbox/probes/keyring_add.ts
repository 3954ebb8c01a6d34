// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "keyring-add",
  title: "put a key into a keyring (add_key)",
  defence: "seccomp refuses the call before the kernel looks at it",
  language: "perl",
  script: String.raw`
my @said;
push @said, refused("add_key", 1, 1, 0, 0, -3);
held(join ", ", @said);
`,
  control: { without: ["seccomp"] },
});
