// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "credentials-of-people",
  title: "read keys in a home directory",
  defence: "no home directory is bound",
  language: "sh",
  script: String.raw`
for home in "$HOME" /root /home/*; do
  for name in .ssh .gnupg .aws .config/gcloud .kube .docker/config.json .netrc .git-credentials; do
    [ ! -e "$home/$name" ] || breached "$home/$name is there"
  done
done
held "none is there"
`,
  control: {
    without: ["unbound"],
    expose: [{ path: "/home/person/.ssh/id_ed25519", kind: "file" }],
  },
});
