// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "write-root",
  title: "write outside of its scratch and its binds",
  defence: "the root of the sandbox is remounted read-only",
  language: "sh",
  script: String.raw`
for dir in / /run /run/bureau /opt /home /var /mnt; do
  [ -d "$dir" ] || continue
  if (: >"$dir/bureau-probe") 2>/dev/null; then rm -f "$dir/bureau-probe"; breached "it wrote into $dir"; fi
done
held "none takes a file"
`,
  control: { without: ["readonly-root"] },
});
