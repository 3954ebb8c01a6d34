// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "nested-bwrap",
  title: "make a sandbox with rights of its own",
  defence: "--disable-userns, and seccomp",
  language: "sh",
  script: String.raw`
command -v bwrap >/dev/null || absent "no bwrap in the sandbox"
bwrap --unshare-user --ro-bind / / true 2>/dev/null && breached "bwrap works in the sandbox"
held "bwrap is refused"
`,
  control: { without: ["no-nesting", "seccomp"] },
});
