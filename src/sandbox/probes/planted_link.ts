// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "planted-link",
  title: "reach the host by a link in its workspace",
  defence: "a link is followed inside: what it names is not there",
  language: "sh",
  script: String.raw`
top=
for dir in /workspace /tmp /dev/shm; do
  if [ -d "$dir" ] && [ -w "$dir" ]; then top=$dir; break; fi
done
[ -n "$top" ] || absent "no directory that it may write"
link=$top/bureau-probe-link-$$
ln -s /proc/self/root/srv "$link" 2>/dev/null || absent "no links here"
if [ -e "$link/" ]; then rm -f "$link"; breached "the link leads to the host's /srv"; fi
rm -f "$link"
held "the link leads nowhere"
`,
  control: { without: ["unbound"], expose: [{ path: "/srv/secret", kind: "file" }] },
});
