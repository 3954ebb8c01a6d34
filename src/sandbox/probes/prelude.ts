// SPDX-License-Identifier: Apache-2.0

/** What each script may use. A note is plain ASCII, so that JSON needs no escapes. */

export const SH_PRELUDE = `
say() {
  verdict=$1
  shift
  note=$(printf '%s' "$*" | tr -cd 'A-Za-z0-9 ./:_@=+,()-' | cut -c 1-160)
  printf '{"verdict":"%s","note":"%s"}\\n' "$verdict" "$note"
  exit 0
}
held() { say held "$@"; }
breached() { say breached "$@"; }
absent() { say not-applicable "$@"; }
# What a path is for whoever looks: held when nothing is there.
nothing_at() {
  for path in "$@"; do
    if [ -e "$path" ] || [ -L "$path" ]; then breached "$path is there"; fi
  done
  held "none of them is there"
}
# A line of mountinfo for each mount: its place, its options, its file system, its own options.
mounts() {
  while read -r _ _ _ _ place options rest; do
    rest=\${rest#*- }
    kind=\${rest%% *}
    printf '%s %s %s %s\\n' "$place" "$options" "$kind" "\${rest##* }"
  done </proc/self/mountinfo
}
`;

/**
 * Numbers of system calls: x86-64 from arch/x86/entry/syscalls/syscall_64.tbl, aarch64 from
 * include/uapi/asm-generic/unistd.h, both of Linux 6.12.
 */
export const SYSCALLS: Readonly<Record<string, readonly [x86_64: number, aarch64: number]>> = {
  acct: [163, 89],
  add_key: [248, 217],
  adjtimex: [159, 171],
  bpf: [321, 280],
  chroot: [161, 51],
  clock_settime: [227, 112],
  clone: [56, 220],
  clone3: [435, 435],
  delete_module: [176, 106],
  finit_module: [313, 273],
  fsconfig: [431, 431],
  init_module: [175, 105],
  io_uring_setup: [425, 425],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  kexec_load: [246, 104],
  keyctl: [250, 219],
  memfd_create: [319, 279],
  mknodat: [259, 33],
  mount: [165, 40],
  name_to_handle_at: [303, 264],
  open_by_handle_at: [304, 265],
  open_tree: [428, 428],
  perf_event_open: [298, 241],
  personality: [135, 92],
  pivot_root: [155, 41],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  ptrace: [101, 117],
  quotactl: [179, 60],
  reboot: [169, 142],
  request_key: [249, 218],
  sched_setscheduler: [144, 119],
  sethostname: [170, 161],
  setns: [308, 268],
  settimeofday: [164, 170],
  socket: [41, 198],
  swapon: [167, 224],
  swapoff: [168, 225],
  syslog: [103, 116],
  umount2: [166, 39],
  unshare: [272, 97],
  userfaultfd: [323, 282],
};

export const PERL_PRELUDE = `
use strict;
use warnings;
no warnings "portable";
use Errno;
$| = 1;
my $machine = (POSIX::uname())[4];
my $column = $machine eq "x86_64" ? 0 : $machine eq "aarch64" ? 1 : undef;
my %NUMBERS = (${
  Object.entries(SYSCALLS).map(([name, [x86, arm]]) => `${name} => [${x86}, ${arm}]`).join(", ")
});
sub say_verdict {
  my ($verdict, $note) = @_;
  $note =~ s/[^A-Za-z0-9 .\\/:_\\@=+,()-]//g;
  printf "{\\"verdict\\":\\"%s\\",\\"note\\":\\"%s\\"}\\n", $verdict, substr($note, 0, 160);
  POSIX::_exit(0);
}
sub held { say_verdict("held", join " ", @_) }
sub breached { say_verdict("breached", join " ", @_) }
sub absent { say_verdict("not-applicable", join " ", @_) }
sub is_filtered {
  open(my $status, "<", "/proc/self/status") or return 1;
  return scalar grep { /^Seccomp:\\s+2/ } <$status>;
}
# Calls the kernel. @returns (result, errno); errno 0 when it worked
sub kernel {
  my ($name, @arguments) = @_;
  absent("no table of system calls for $machine") unless defined $column;
  $! = 0;
  my $result = syscall($NUMBERS{$name}[$column], @arguments);
  return ($result, $result == -1 ? $! + 0 : 0);
}
# A call that must be refused before the kernel looks at its arguments, which are chosen to be worthless:
# any other error than "not permitted" or "no such call" means that the kernel did look.
sub refused {
  my ($name, @arguments) = @_;
  my ($result, $errno) = kernel($name, @arguments);
  if ($errno == Errno::ENOSYS() && !is_filtered()) { absent("this kernel has no $name") }
  return "$name: $!" if $errno == Errno::EPERM() || $errno == Errno::ENOSYS();
  breached("$name reached the kernel: " . ($errno == 0 ? "it worked" : "$!"));
}
`;
