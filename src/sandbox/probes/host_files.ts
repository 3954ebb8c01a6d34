// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "host-files",
  title: "see the host's files",
  defence: "only /usr and what its template names are bound",
  language: "sh",
  script: String.raw`
nothing_at /root /home/* /var /srv /boot /mnt /media /etc/shadow /etc/sudoers /etc/ssh /lost+found
`,
  control: { without: ["unbound"], expose: [{ path: "/srv/secret", kind: "file" }] },
});
