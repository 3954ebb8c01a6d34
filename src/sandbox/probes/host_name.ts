// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "host-name",
  title: "learn or change the host's name",
  defence: "a uts namespace of its own",
  language: "perl",
  script: String.raw`
my $name = (POSIX::uname())[1];
breached("the host's name is $name") unless $name eq "sandbox";
my ($result, $errno) = kernel("sethostname", my $new = "probe", 5);
breached("sethostname worked") if $errno == 0;
held("its name is sandbox, sethostname: $!");
`,
  control: { without: ["own-uts"] },
});
