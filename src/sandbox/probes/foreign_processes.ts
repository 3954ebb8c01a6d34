// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "foreign-processes",
  title: "see a process outside of it",
  defence: "a pid namespace and a /proc of its own",
  language: "perl",
  script: String.raw`
# Whose mount namespace can't be read is in another user namespace: not of this sandbox.
opendir(my $dir, "/proc") or absent("no /proc");
my @foreign = grep { /^\d+$/ && -d "/proc/$_" && !defined readlink("/proc/$_/ns/mnt") } readdir $dir;

breached("it sees process $foreign[0]") if @foreign;
held("every process it sees is its own");
`,
  control: { without: ["own-pid"] },
});
