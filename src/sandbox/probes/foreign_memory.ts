// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "foreign-memory",
  title: "write another's memory (/proc/<pid>/mem)",
  defence: "a pid namespace of its own; user namespaces keep others' processes shut",
  language: "perl",
  script: String.raw`
my $own = readlink("/proc/self/ns/pid") // absent("no /proc/self/ns");
opendir(my $dir, "/proc") or absent("no /proc");
foreach my $pid (grep { /^\d+$/ && $_ != $$ } readdir $dir) {
  my $space = readlink("/proc/$pid/ns/mnt") // "";
  next if $space eq (readlink("/proc/self/ns/mnt") // "-");
  breached("the memory of process $pid opens") if open(my $memory, "+<", "/proc/$pid/mem");
}
# Of its own sandbox it may. Outside, the first process is the machine's.
breached("the machine's first process opens") if -d "/boot" && open(my $first, "+<", "/proc/1/mem");
held("none outside opens");
`,
  control: { without: "all", needs: "root" },
});
