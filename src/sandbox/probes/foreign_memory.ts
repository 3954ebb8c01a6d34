// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "foreign-memory",
  title: "write another's memory (/proc/<pid>/mem)",
  defence: "a pid namespace of its own; user namespaces keep others' processes shut",
  language: "perl",
  script: String.raw`
# Behind a sandbox's init every process is the sandbox's own.
open(my $first, "<", "/proc/1/comm") or absent("no /proc/1/comm");
chomp(my $init = <$first>);
my $enclosed = $init =~ /^(bwrap|tini|catatonit)$/;

opendir(my $dir, "/proc") or absent("no /proc");
my $own = readlink("/proc/self/ns/mnt") // "-";
foreach my $pid (grep { /^\d+$/ && $_ != $$ } readdir $dir) {
  # Of its own sandbox it may.
  next if $enclosed && $own eq (readlink("/proc/$pid/ns/mnt") // "");
  # Opened and closed: nothing is written.
  breached("the memory of process $pid opens") if open(my $memory, "+<", "/proc/$pid/mem");
}
held("none outside opens");
`,
  control: { without: "all" },
});
