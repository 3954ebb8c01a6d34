// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "environment",
  title: "read the environment of whoever started it",
  defence: "--clearenv, and a pid namespace of its own",
  language: "perl",
  script: String.raw`
my $secret = qr/^(SSH_AUTH_SOCK|DBUS_\w+|XDG_RUNTIME_DIR|DISPLAY|SUDO_\w+|LD_PRELOAD|\w*(TOKEN|SECRET|PASSWORD|API_KEY|CREDENTIAL)\w*)=./;
opendir(my $dir, "/proc") or absent("no /proc");
foreach my $pid (grep { /^\d+$/ } readdir $dir) {
  open(my $file, "<", "/proc/$pid/environ") or next;
  foreach (split /\0/, join "", <$file>) {
    # A template may name a variable so; its caller's would be in every process, and it says no value.
    breached("process $pid has $1") if /$secret/;
  }
}
held("no process here has one that tells of its caller");
`,
  control: { without: ["clear-environment"] },
});
