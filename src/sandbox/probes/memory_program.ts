// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "memory-program",
  title: "get round a refusal by a program that is no file",
  defence: "no rule goes by a program's path: the kernel's rules are the process's",
  language: "perl",
  script: String.raw`
my ($memory, $errno) = kernel("memfd_create", my $name = "probe", 0);
held("memfd_create: $!") if $errno != 0;
open(my $program, "<", "/usr/bin/unshare") or absent("no unshare in the sandbox");
binmode $program;
open(my $out, ">&=", $memory) or absent("cannot write: $!");
binmode $out;
print $out join("", <$program>);
$out->flush();
my $child = fork() // absent("cannot fork: $!");
if ($child == 0) {
  open(STDERR, ">", "/dev/null");
  # Not closed at exec: made without MFD_CLOEXEC, but perl adds it above 2.
  POSIX::dup2($memory, 2);
  exec { "/proc/self/fd/2" } "unshare", "--user", "true";
  POSIX::_exit(99);
}
waitpid($child, 0);
breached("unshare from memory works") if $? == 0;
held("refused, status " . ($? >> 8));
`,
  control: { without: ["no-nesting", "seccomp"] },
});
