// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "terminal-shared",
  title: "hold a terminal that somebody outside reads",
  defence: "its own PTY, in its own session, from its own devpts",
  language: "perl",
  script: String.raw`
my $driver = $ENV{BUREAU_PROBE_DRIVER};
my $seen = 0;
foreach my $fd (0, 1, 2) {
  my @shown = stat("/proc/$driver/fd/$fd") or next;
  open(my $terminal, "<", "/proc/$driver/fd/$fd") or next;
  next unless -t $terminal;
  $seen++;
  # A terminal of this sandbox's own devpts has a name there.
  my $name = POSIX::ttyname(fileno($terminal));
  breached("descriptor $fd is a terminal from outside") unless defined $name && $name =~ m{^/dev/pts/};
}
held($seen == 0 ? "no descriptor is a terminal" : "its terminal is its own");
`,
  control: { without: ["new-session", "pty"] },
});
