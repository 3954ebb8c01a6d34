// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "foreign-command-lines",
  title: "read the command lines of processes outside",
  defence: "a pid namespace and a /proc of its own",
  language: "perl",
  script: String.raw`
# Whose mount namespace can't be read is in another user namespace: not of this sandbox.
opendir(my $dir, "/proc") or absent("no /proc");
my @foreign = grep { /^\d+$/ && -d "/proc/$_" && !defined readlink("/proc/$_/ns/mnt") } readdir $dir;

foreach my $pid (@foreign) {
  open(my $file, "<", "/proc/$pid/cmdline") or next;
  my $line = <$file> // "";
  $line =~ tr/\0/ /;
  breached("process $pid is $line") if $line ne "";
}
held("there is none");
`,
  control: { without: ["own-pid"] },
});
