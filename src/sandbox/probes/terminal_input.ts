// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "terminal-input",
  title: "type into its terminal's input (TIOCSTI)",
  defence: "seccomp refuses the ioctl; the terminal is one of its own",
  language: "perl",
  script: String.raw`
open(my $tty, "+<", "/dev/tty") or absent("no controlling terminal: $!");
my $byte = "\0";
if (ioctl($tty, 0x5412, $byte)) { breached("a byte was put into the terminal's input") }
absent("the kernel refuses it to everybody (dev.tty.legacy_tiocsti)") if $! == Errno::EIO();
held("TIOCSTI: $!");
`,
  control: { without: ["seccomp"] },
});
