// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "trace-others",
  title: "trace a process (ptrace)",
  defence: "seccomp; a pid namespace of its own",
  language: "perl",
  script: String.raw`
my $child = fork() // absent("cannot fork: $!");
if ($child == 0) { sleep 20; POSIX::_exit(0) }
# PTRACE_SEIZE: it stops nobody.
my ($result, $errno) = kernel("ptrace", 0x4206, $child, 0, 0);
my $why = "$!";
kill("KILL", $child);
breached("ptrace of another process worked") if $errno == 0;
held("ptrace: $why");
`,
  control: { without: ["seccomp"] },
});
