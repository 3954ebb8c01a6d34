// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "init-program",
  title: "overwrite the program of its init (/proc/1/exe)",
  defence: "programs are on read-only mounts",
  language: "perl",
  script: String.raw`
opendir(my $dir, "/proc") or absent("no /proc");
my $seen = 0;
# That a program is busy comes before that its mount is read-only, where the file itself is the agent's
# user's (the bridge's, of whoever started Bureau).
sub readonly {
  open(my $file, "<", $_[0]) or return 0;
  open(my $info, "<", "/proc/self/fdinfo/" . fileno($file)) or return 0;
  my ($mount) = join("", <$info>) =~ /^mnt_id:\s*(\d+)$/m or return 0;
  open(my $mounts, "<", "/proc/self/mountinfo") or return 0;
  # The place's own options, then those of its file system.
  return scalar grep { /^$mount \S+ \S+ \S+ \S+ ro[, ]/ } <$mounts>;
}
foreach my $pid (grep { /^\d+$/ && $_ != $$ } readdir $dir) {
  defined readlink("/proc/$pid/exe") or next;
  $seen++;
  # Opened and closed: nothing is written.
  if (open(my $file, "+<", "/proc/$pid/exe")) { breached("the program of process $pid opens for writing") }
  my $busy = $! == Errno::ETXTBSY();
  breached("the program of process $pid is only busy") if $busy && !readonly("/proc/$pid/exe");
}
held($seen == 0 ? "it can name no program" : "$seen programs, none opens for writing");
`,
  control: { without: ["bwrap-not-writable"] },
});
