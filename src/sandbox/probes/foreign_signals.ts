// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "foreign-signals",
  title: "signal a process outside of it",
  defence: "a pid namespace of its own",
  language: "perl",
  script: String.raw`
# Whose mount namespace can't be read is in another user namespace: not of this sandbox.
opendir(my $dir, "/proc") or absent("no /proc");
my @foreign = grep { /^\d+$/ && -d "/proc/$_" && !defined readlink("/proc/$_/ns/mnt") } readdir $dir;

foreach my $pid (@foreign) { breached("it may signal process $pid") if kill(0, $pid) }
held("there is none that it can name");
`,
  control: { without: ["own-pid"] },
});
