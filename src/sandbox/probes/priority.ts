// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "priority",
  title: "raise its priority",
  defence: "no capability, RLIMIT_NICE",
  language: "perl",
  script: String.raw`
my $before = POSIX::nice(0);
my $child = fork() // absent("cannot fork: $!");
if ($child == 0) { POSIX::_exit(defined POSIX::nice(-1) ? 1 : 0) }
waitpid($child, 0);
breached("nice(-1) worked") if $? != 0;
held("nice(-1) is refused");
`,
  control: { without: "all", needs: "root" },
});
