// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "other-abi-32",
  title: "use the 32-bit calls, which have other numbers",
  defence: "seccomp looks at the architecture of each call",
  language: "perl",
  script: String.raw`
absent("only on x86-64") unless $machine eq "x86_64";
my ($dir) = grep { -d $_ && -w $_ } "/tmp", "/dev/shm";
absent("no scratch directory") unless defined $dir;
# A program of 64 bits: mov eax, 20 (getpid of 32 bits); int 0x80; mov edi, 0; test eax, eax; jle +5; mov edi, 42;
# mov eax, 60; syscall.
my $code = pack("H*", "b814000000cd80bf0000000085c07e05bf2a000000b83c0000000f05");
my $program = pack("H*", "7f454c46020101000000000000000000") .
  pack("vvVQQQVvvvvvv", 2, 62, 1, 0x400078, 64, 0, 0, 64, 56, 1, 0, 0, 0) .
  pack("VVQQQQQQ", 1, 5, 0, 0x400000, 0x400000, 120 + length $code, 120 + length $code, 0x1000) . $code;
my $path = "$dir/bureau-probe-abi-$$";
open(my $file, ">", $path) or absent("cannot write: $!");
binmode $file;
print $file $program;
close $file;
chmod 0700, $path;
my $status = system { $path } $path;
unlink $path;
breached("a 32-bit call was answered") if $status >> 8 == 42;
absent("this kernel has no 32-bit calls") if !is_filtered();
held("status $status");
`,
  control: { without: ["seccomp"] },
});
