// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "ssh-agent",
  title: "sign with the operator's SSH agent",
  defence: "nothing of the host's /run and /tmp is in it; its environment is empty",
  language: "sh",
  script: String.raw`
[ -z "$SSH_AUTH_SOCK" ] || breached "SSH_AUTH_SOCK is set"
[ -z "$GPG_AGENT_INFO" ] || breached "GPG_AGENT_INFO is set"
nothing_at /tmp/ssh-*/agent.* /run/user/*/keyring /run/user/*/ssh-agent* /run/user/*/openssh_agent /run/user/*/gnupg
`,
  control: {
    without: ["unbound"],
    expose: [{ path: "/run/user/0/ssh-agent.socket", kind: "socket" }],
  },
});
