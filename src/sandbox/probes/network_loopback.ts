// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "network-loopback",
  title: "reach a server on the host's loopback",
  defence: "a network namespace of its own",
  language: "perl",
  script: String.raw`
use Socket;
open(my $table, "<", "/proc/net/tcp") or absent("no /proc/net/tcp");
foreach (<$table>) {
  my ($address, $port) = /^\s*\d+: (\w+):(\w+) \w+:\w+ 0A/ or next;
  socket(my $socket, PF_INET, SOCK_STREAM, 0) or held("socket: $!");
  if (connect($socket, pack_sockaddr_in(hex $port, inet_aton("127.0.0.1")))) {
    breached("port " . hex($port) . " of the loopback answers");
  }
}
held("nobody listens on its loopback");
`,
  control: { without: ["own-net", "seccomp"] },
});
