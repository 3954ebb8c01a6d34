// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "clone-namespaces",
  title: "make a user namespace (clone)",
  defence: "--disable-userns, and seccomp",
  language: "perl",
  script: String.raw`
my ($result, $errno) = kernel("clone", 0x10000000 | 17, 0, 0, 0, 0);
POSIX::_exit(0) if $errno == 0 && $result == 0;
breached("clone(CLONE_NEWUSER) worked") if $errno == 0;
held("clone(CLONE_NEWUSER): $!");
`,
  control: { without: ["no-nesting", "seccomp"] },
});
