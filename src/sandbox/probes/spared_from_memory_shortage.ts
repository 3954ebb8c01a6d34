// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "spared-from-memory-shortage",
  title: "be spared when memory is short (oom_score_adj)",
  defence: "no capability in the host's namespace",
  language: "perl",
  script: String.raw`
my $child = fork() // absent("cannot fork: $!");
if ($child == 0) {
  open(my $file, ">", "/proc/self/oom_score_adj") or POSIX::_exit(0);
  POSIX::_exit(syswrite($file, "-500") ? 1 : 0);
}
waitpid($child, 0);
breached("oom_score_adj went below zero") if $? != 0;
held("it is refused");
`,
  control: { without: "all", needs: "root" },
});
