// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "network-loopback-v6",
  title: "reach a server on the host's IPv6 loopback",
  defence: "a network namespace of its own",
  language: "perl",
  script: String.raw`
use Socket;
open(my $table, "<", "/proc/net/tcp6") or absent("no IPv6 here");
foreach (<$table>) {
  my ($address, $port) = /^\s*\d+: (\w+):(\w+) \w+:\w+ 0A/ or next;
  socket(my $socket, PF_INET6, SOCK_STREAM, 0) or held("socket: $!");
  if (connect($socket, Socket::pack_sockaddr_in6(hex $port, Socket::inet_pton(PF_INET6, "::1")))) {
    breached("port " . hex($port) . " of ::1 answers");
  }
}
held("nobody listens on its ::1");
`,
  control: { without: ["own-net", "seccomp"] },
});
