// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "keyring-request",
  title: "have the kernel ask for a key (request_key)",
  defence: "seccomp refuses the call before the kernel looks at it",
  language: "perl",
  script: String.raw`
my @said;
push @said, refused("request_key", 1, 1, 0, -3);
held(join ", ", @said);
`,
  control: { without: ["seccomp"] },
});
