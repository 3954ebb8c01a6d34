// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "foreign-roots",
  title: "go out through /proc/<pid>/root",
  defence: "a pid namespace of its own; user namespaces keep others' processes shut",
  language: "perl",
  script: String.raw`
# Behind a sandbox's init every process is the sandbox's own.
open(my $first, "<", "/proc/1/comm") or absent("no /proc/1/comm");
chomp(my $init = <$first>);
my $enclosed = $init =~ /^(bwrap|tini|catatonit)$/;

my @own = stat("/");
opendir(my $dir, "/proc") or absent("no /proc");
foreach my $pid (grep { /^\d+$/ } readdir $dir) {
  my @root = stat("/proc/$pid/root/") or next;
  breached("/proc/$pid/root is another root") if $root[0] != $own[0] || $root[1] != $own[1];
  breached("/proc/$pid/root is the machine's") unless $enclosed;
}
held("every root that it can enter is its own");
`,
  control: { without: "all" },
});
