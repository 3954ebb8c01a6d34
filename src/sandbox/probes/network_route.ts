// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "network-route",
  title: "have a route to anywhere",
  defence: "a network namespace of its own",
  language: "perl",
  script: String.raw`
use Socket;
# Connecting a datagram socket looks for a route and sends nothing.
socket(my $socket, PF_INET, SOCK_DGRAM, 0) or held("socket: $!");
if (connect($socket, pack_sockaddr_in(443, inet_aton("198.51.100.1")))) { breached("there is a route to 198.51.100.1") }
held("198.51.100.1: $!");
`,
  control: { without: ["own-net", "seccomp"] },
});
