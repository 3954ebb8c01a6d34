// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "fork-bomb",
  title: "take every process of the machine",
  defence: "RLIMIT_NPROC, counted in its own user namespace",
  language: "perl",
  script: String.raw`
open(my $limits, "<", "/proc/self/limits") or absent("no /proc/self/limits");
my ($limit) = map { /^Max processes\s+(\S+)/ ? $1 : () } <$limits>;
breached("there is no limit") if !defined $limit || $limit eq "unlimited" || $limit > 5000;
my ($parent, @children) = ($$);
while (@children <= $limit) {
  my $child = fork();
  last unless defined $child;
  if ($child == 0) { sleep 30; POSIX::_exit(0) }
  push @children, $child;
}
my $why = "$!";
kill("KILL", @children);
waitpid($_, 0) foreach @children;
breached("$limit are allowed, " . scalar(@children) . " were made") if @children > $limit;
held(scalar(@children) . " of $limit, then: $why");
`,
  control: { without: ["limits"] },
  disturbs: true,
});
