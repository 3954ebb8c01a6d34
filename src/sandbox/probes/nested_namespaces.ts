// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "nested-namespaces",
  title: "make a user namespace (unshare)",
  defence: "--disable-userns, and seccomp",
  language: "perl",
  script: String.raw`
my ($result, $errno) = kernel("unshare", 0x10000000);
breached("unshare(CLONE_NEWUSER) worked") if $errno == 0;
held("unshare(CLONE_NEWUSER): $!");
`,
  control: { without: ["no-nesting", "seccomp"] },
});
