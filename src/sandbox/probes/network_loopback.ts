// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "network-loopback",
  title: "reach a server on the host's loopback",
  defence: "a network namespace of its own",
  language: "perl",
  script: String.raw`
use Socket;
# What a process of this sandbox holds is its own: the bridge's port. Outside of it no process is seen.
my %own;
foreach my $held (glob "/proc/[0-9]*/fd/*") {
  my ($inode) = (readlink($held) // "") =~ /^socket:\[(\d+)\]$/ or next;
  $own{$inode} = 1;
}
open(my $table, "<", "/proc/net/tcp") or absent("no /proc/net/tcp");
foreach (<$table>) {
  my ($address, $port) = /^\s*\d+: (\w+):(\w+) \w+:\w+ 0A/ or next;
  next if $own{(split)[9]};
  socket(my $socket, PF_INET, SOCK_STREAM, 0) or held("socket: $!");
  if (connect($socket, pack_sockaddr_in(hex $port, inet_aton("127.0.0.1")))) {
    breached("port " . hex($port) . " of the loopback answers");
  }
}
held("nobody but its own processes listens on its loopback");
`,
  control: { without: ["own-net", "seccomp"] },
});
