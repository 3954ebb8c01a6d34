// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "foreign-roots",
  title: "go out through /proc/<pid>/root or cwd",
  defence: "a pid namespace of its own; user namespaces keep others' processes shut",
  language: "perl",
  script: String.raw`
my @own = stat("/");
opendir(my $dir, "/proc") or absent("no /proc");
foreach my $pid (grep { /^\d+$/ } readdir $dir) {
  my @root = stat("/proc/$pid/root/") or next;
  breached("/proc/$pid/root is another root") if $root[0] != $own[0] || $root[1] != $own[1];
}
# Outside of a sandbox there is one root, and it is the host's.
breached("its root is the host's") if -d "/proc/1/root/boot" || -d "/proc/self/root/boot";
held("every root that it can enter is its own");
`,
  control: { without: "all" },
});
