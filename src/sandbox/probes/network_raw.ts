// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "network-raw",
  title: "see or forge packets (AF_PACKET, raw sockets)",
  defence: "no capability in the network namespace's owner, seccomp",
  language: "perl",
  script: String.raw`
foreach my $kind ([17, 3, 0x0300], [2, 3, 1], [10, 3, 58]) {
  my ($result, $errno) = kernel("socket", @$kind);
  breached("socket(" . join(",", @$kind) . ") worked") if $errno == 0;
}
held("all are refused");
`,
  control: { without: ["no-capabilities", "not-root", "no-nesting", "seccomp"] },
});
