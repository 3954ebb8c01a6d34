// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "personality",
  title: "run with a weaker memory layout (personality)",
  defence: "seccomp allows the plain ones only",
  language: "perl",
  script: String.raw`
my $child = fork() // absent("cannot fork: $!");
if ($child == 0) {
  # READ_IMPLIES_EXEC
  my ($result, $errno) = kernel("personality", 0x0400000);
  POSIX::_exit($errno == 0 ? 1 : 0);
}
waitpid($child, 0);
breached("READ_IMPLIES_EXEC was set") if $? != 0;
held("personality(READ_IMPLIES_EXEC) is refused");
`,
  control: { without: ["seccomp"] },
});
