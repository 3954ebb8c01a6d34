// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "network-interfaces",
  title: "reach an interface but its own loopback",
  defence: "a network namespace of its own",
  language: "sh",
  script: String.raw`
[ -r /proc/net/dev ] || absent "no /proc/net/dev"
for name in $(tail -n +3 /proc/net/dev | cut -d : -f 1); do
  [ "$name" = lo ] || breached "it has the interface $name"
done
held "lo only"
`,
  control: { without: ["own-net"] },
});
