// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "abstract-sockets",
  title: "connect to an abstract socket of the host",
  defence: "a network namespace of its own",
  language: "perl",
  script: String.raw`
use Socket;
open(my $table, "<", "/proc/net/unix") or absent("no /proc/net/unix");
foreach (<$table>) {
  my ($name) = /^\w+: \w+ \w+ 00010000 \w+ 01\s+\d+ \@(\S+)/ or next;
  socket(my $socket, PF_UNIX, SOCK_STREAM, 0) or next;
  # A socket's own name may hold NULs, which the table shows as another @.
  breached("it connects to \@$name") if connect($socket, pack_sockaddr_un("\0$name"));
}
held("there is none");
`,
  control: { without: ["own-net"] },
});
