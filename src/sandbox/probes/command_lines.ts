// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "command-lines",
  title: "read how it was made",
  defence: "arguments go to bwrap by a descriptor",
  language: "perl",
  script: String.raw`
opendir(my $dir, "/proc") or absent("no /proc");
foreach my $pid (grep { /^\d+$/ } readdir $dir) {
  open(my $file, "<", "/proc/$pid/cmdline") or next;
  my @words = split /\0/, (<$file> // "");
  next unless @words && $words[0] =~ m{(^|/)bwrap$};
  breached("process $pid shows $1") if grep { /^(--(?:ro-)?bind|--setenv|--seccomp-data)$/ } @words;
}
held("no command line shows a path");
`,
  control: { without: ["arguments-by-descriptor"] },
});
