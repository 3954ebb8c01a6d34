// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "other-abi-x32",
  title: "use the x32 calls, which have other numbers",
  defence: "seccomp refuses the x32 bit",
  language: "perl",
  script: String.raw`
absent("only on x86-64") unless $machine eq "x86_64";
$! = 0;
my $child = fork() // absent("cannot fork: $!");
if ($child == 0) { POSIX::_exit(syscall(0x40000000 | 39) > 0 ? 42 : 0) }
waitpid($child, 0);
breached("an x32 call was answered") if $? >> 8 == 42;
absent("this kernel has no x32 calls") if !is_filtered();
held("it is refused");
`,
  control: { without: ["seccomp"] },
});
