// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "file-handles",
  title: "open files by handle, past every path",
  defence: "seccomp refuses the call before the kernel looks at it",
  language: "perl",
  script: String.raw`
my @said;
push @said, refused("name_to_handle_at", -100, my $root = "/", 1, 1, 0);
push @said, refused("open_by_handle_at", -100, 1, 0x7ffffff0);
held(join ", ", @said);
`,
  control: { without: ["seccomp"] },
});
