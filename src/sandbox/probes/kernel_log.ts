// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "kernel-log",
  title: "read the kernel's log",
  defence: "seccomp, kernel.dmesg_restrict, no /dev/kmsg",
  language: "perl",
  script: String.raw`
my ($result, $errno) = kernel("syslog", 10, 0, 0);
breached("syslog answered") if $errno == 0;
breached("/dev/kmsg opens") if open(my $log, "<", "/dev/kmsg");
held("syslog is refused, /dev/kmsg does not open");
`,
  control: { without: "all", needs: "root" },
});
