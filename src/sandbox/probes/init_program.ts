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
foreach my $pid (grep { /^\d+$/ && $_ != $$ } readdir $dir) {
  defined readlink("/proc/$pid/exe") or next;
  $seen++;
  # Opened and closed: nothing is written.
  if (open(my $file, "+<", "/proc/$pid/exe")) { breached("the program of process $pid opens for writing") }
  breached("the program of process $pid is only busy") if $! == Errno::ETXTBSY();
}
held($seen == 0 ? "it can name no program" : "$seen programs, none opens for writing");
`,
  control: { without: ["bwrap-not-writable"] },
});
