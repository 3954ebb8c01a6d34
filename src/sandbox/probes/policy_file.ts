// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "policy-file",
  title: "reach Bureau's policy, keys or sessions",
  defence: "no state directory is bound, wherever it lies",
  language: "sh",
  script: String.raw`
found=$(timeout 10 find / -xdev \( -name proc -o -name usr \) -prune -o \
  \( -name policy.json -o -name machine-key.txt -o -name signing-key.json -o -name machine-session.json \) -print 2>/dev/null | head -n 1)
[ -n "$found" ] || for dir in /opt/* /workspace /data; do
  [ -d "$dir/operator" ] && [ -e "$dir/operator/policy.json" ] && found=$dir/operator/policy.json
done
[ -z "$found" ] || breached "$found is there"
held "none is there"
`,
  control: {
    without: ["unbound"],
    expose: [{ path: "/run/state/operator/policy.json", kind: "file" }],
  },
});
