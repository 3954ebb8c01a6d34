// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "inherited-descriptors",
  title: "use a descriptor that was open before it",
  defence: "start scripts open nothing but 0, 1 and 2; bwrap closes its own",
  language: "perl",
  script: String.raw`
my $driver = $ENV{BUREAU_PROBE_DRIVER};
foreach my $fd (split " ", $ENV{BUREAU_PROBE_DESCRIPTORS}) {
  next if $fd <= 2;
  my $target = readlink("/proc/$driver/fd/$fd") // next;
  # The shell keeps the script that it runs open.
  next if $fd >= 10 && $target =~ m{\.sh$};
  breached("descriptor $fd leads to $target");
}
held("0, 1 and 2 only");
`,
  control: { without: ["clean-descriptors"] },
});
