// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "terminal-console",
  title: "reach the console's selection and fonts (TIOCLINUX)",
  defence: "seccomp refuses the ioctl",
  language: "perl",
  script: String.raw`
open(my $tty, "+<", "/dev/tty") or absent("no controlling terminal: $!");
my $code = "\x06\0\0\0";
if (ioctl($tty, 0x541c, $code)) { breached("the console answered") }
held("TIOCLINUX: $!") if $! == Errno::EPERM() || $! == Errno::ENOSYS();
breached("TIOCLINUX reached the driver: $!");
`,
  control: { without: ["seccomp"] },
});
