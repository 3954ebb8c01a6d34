// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "network-metadata",
  title: "reach a cloud's metadata service",
  defence: "a network namespace of its own",
  language: "perl",
  script: String.raw`
use Socket;
# Connecting a datagram socket looks for a route and sends nothing.
socket(my $socket, PF_INET, SOCK_DGRAM, 0) or held("socket: $!");
if (connect($socket, pack_sockaddr_in(80, inet_aton("169.254.169.254")))) { breached("there is a route to 169.254.169.254") }
held("169.254.169.254: $!");
`,
  control: { without: ["own-net", "seccomp"] },
});
