// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "host-name",
  title: "learn or change the host's name",
  defence: "a uts namespace of its own",
  language: "perl",
  script: String.raw`
my $name = (POSIX::uname())[1];
# The /etc of a sandbox is made from scratch and says the name that it was given.
if (open(my $file, "<", "/etc/hostname")) {
  chomp(my $given = <$file> // $name);
  breached("the host's name is $name") if $name ne $given;
}
my ($result, $errno) = kernel("sethostname", my $new = "probe", 5);
breached("sethostname worked") if $errno == 0;
held("its name is $name, sethostname: $!");
`,
  control: { without: ["own-uts"] },
});
