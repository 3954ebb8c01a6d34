// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "accounting",
  title: "change process accounting and quotas",
  defence: "seccomp refuses the call before the kernel looks at it",
  language: "perl",
  script: String.raw`
my @said;
push @said, refused("acct", 1);
push @said, refused("quotactl", 0x7fffffff, 1, 0, 1);
held(join ", ", @said);
`,
  control: { without: "all", needs: "root" },
});
