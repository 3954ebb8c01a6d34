// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "docker",
  title: "start containers",
  defence: "nothing of the host's /run and /tmp is in it; its environment is empty",
  language: "sh",
  script: String.raw`
[ -z "$DOCKER_HOST" ] || breached "DOCKER_HOST is set"
nothing_at /run/docker.sock /var/run/docker.sock /run/containerd /run/podman /run/user/*/podman /run/user/*/docker.sock /run/crio /run/lxd.socket /var/lib/lxd
`,
  control: { without: ["unbound"], expose: [{ path: "/run/docker.sock", kind: "socket" }] },
});
