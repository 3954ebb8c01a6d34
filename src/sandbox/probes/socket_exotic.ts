// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "socket-exotic",
  title: "load a rare network protocol of the kernel",
  defence: "seccomp refuses every family but a few",
  language: "perl",
  script: String.raw`
my @refused;
# ax25, ipx, appletalk, x25, pf_key, rds, llc, can, tipc, bluetooth, rxrpc, nfc, kcm, smc, xdp, mctp
foreach my $family (3, 4, 5, 9, 15, 21, 26, 29, 30, 31, 33, 39, 41, 43, 44, 45) {
  foreach my $type (1, 2, 3, 5) {
    my ($result, $errno) = kernel("socket", $family, $type, 0);
    breached("socket($family, $type) worked") if $errno == 0;
    push @refused, $family if $errno == Errno::EAFNOSUPPORT() || $errno == Errno::EPERM();
  }
}
absent("this kernel has none of them") if !is_filtered();
held("all are refused");
`,
  control: { without: ["seccomp"] },
});
