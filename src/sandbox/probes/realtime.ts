// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "realtime",
  title: "run before everybody else (SCHED_FIFO)",
  defence: "no capability, RLIMIT_RTPRIO",
  language: "perl",
  script: String.raw`
my $child = fork() // absent("cannot fork: $!");
if ($child == 0) {
  my ($result, $errno) = kernel("sched_setscheduler", 0, 1, my $priority = pack("i", 1));
  POSIX::_exit($errno == 0 ? 1 : 0);
}
waitpid($child, 0);
breached("SCHED_FIFO worked") if $? != 0;
held("SCHED_FIFO is refused");
`,
  control: { without: "all", needs: "root" },
});
