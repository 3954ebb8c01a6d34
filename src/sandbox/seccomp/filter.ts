// SPDX-License-Identifier: Apache-2.0

/**
 * What a sandbox may not ask of the kernel. A list of refusals over everything known, because agents run
 * whatever there is; and what is newer than this list is not there for them (ENOSYS), so that no new system
 * call opens by itself. Each refusal has the errno that programs know how to live with.
 */
import { assemble, type Step, VERDICT } from "./bpf.ts";
import { AUDIT_ARCH, GAP, LAST_KNOWN, type Machine, type Syscall, SYSCALLS } from "./syscalls.ts";

/**
 * - `default`: for agents, with or without a bridge.
 * - `networkless`: also no Internet sockets, not even on the sandbox's own loopback.
 * - `nested-tools`: `default` with the debugging of one's own processes (gdb, strace, rr).
 * - `cell`: for the cell of a principal's terminal, in which bwrap makes the agent's sandbox: namespaces
 *   and mounts are allowed, and nothing else is that `default` refuses.
 */
export type Profile = "default" | "networkless" | "nested-tools" | "cell";
export const PROFILES: readonly Profile[] = ["default", "networkless", "nested-tools", "cell"];

const EPERM = 1;
const ENOSYS = 38;
const EAFNOSUPPORT = 97;

/** Kernel keyrings are not namespaced; the rest is the machine's own state or reaches far into the kernel. */
const MACHINE: readonly Syscall[] = [
  ...["acct", "add_key", "adjtimex", "bpf", "clock_adjtime", "clock_settime"],
  ...["delete_module", "fanotify_init", "fanotify_mark", "finit_module", "init_module"],
  ...["ioperm", "iopl", "kexec_file_load", "kexec_load", "keyctl", "migrate_pages", "modify_ldt"],
  ...["move_pages", "name_to_handle_at", "open_by_handle_at", "perf_event_open", "quotactl"],
  ...["quotactl_fd", "reboot", "request_key", "settimeofday"],
  ...["swapoff", "swapon", "syslog", "userfaultfd", "vhangup"],
] as Syscall[];

/** Making namespaces, and what is done in new ones. */
const MOUNTS: readonly Syscall[] = [
  ...["chroot", "fsconfig", "fsmount", "fsopen", "fspick", "mount", "mount_setattr", "move_mount"],
  ...["open_tree", "pivot_root", "setdomainname", "sethostname", "setns", "umount2"],
] as Syscall[];

/** Looking into other processes. */
const DEBUGGING: readonly Syscall[] = [
  ...["kcmp", "pidfd_getfd", "process_vm_readv", "process_vm_writev", "ptrace"],
] as Syscall[];

/**
 * As if the kernel had none: programs then do without. io_uring does what filters forbid by other means;
 * the rest is long dead.
 */
const ABSENT: readonly Syscall[] = [
  ...["_sysctl", "afs_syscall", "create_module", "epoll_ctl_old", "epoll_wait_old"],
  ...["get_kernel_syms", "getpmsg", "io_uring_enter", "io_uring_register", "io_uring_setup"],
  ...["lookup_dcookie", "nfsservctl", "putpmsg", "query_module", "security", "sysfs", "tuxcall"],
  ...["uselib", "ustat", "vserver"],
] as Syscall[];

/** linux/sched.h: CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
export const NAMESPACE_FLAGS = 0x7e02_0000;
/** CLONE_NEWTIME is a signal number to `clone`, and a flag to `unshare` only. */
const NEWTIME = 0x80;

/** asm-generic/ioctls.h: both put keystrokes into a terminal, as if its user had typed them. */
const TIOCSTI = 0x5412;
const TIOCLINUX = 0x541c;

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const AF_NETLINK = 16;
const NETLINK_ROUTE = 0;

/** linux/personality.h: PER_LINUX, PER_LINUX32, the two with UNAME26, and the question for the present one. */
const PERSONALITIES = [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];
const ADDR_NO_RANDOMIZE = 0x4_0000;

/** Where the low half of an argument lies: everything compared here is 32 bits to the kernel. */
const argument = (index: number) => 16 + index * 8;

/** The profile as a program for bwrap's `--seccomp`. */
export function seccompProgram(machine: Machine, profile: Profile): Uint8Array<ArrayBuffer> {
  return assemble([...prologue(machine), ...rules(machine, profile), allow]);
}

const allow: Step = { op: "return", value: VERDICT.allow };
const refuse = (errno: number): Step => ({ op: "return", value: VERDICT.errno(errno) });
const loadNumber: Step = { op: "load", offset: 0 };

let labels = 0;
/** Runs `then` when the accumulator is as said, and goes on behind it otherwise. */
function when(test: "equal" | "at-least", value: number, then: readonly Step[]): Step[] {
  const end = `after-${labels++}`;
  return [
    { op: "jump-if", test, value, then: null, otherwise: end },
    ...then,
    { op: "label", name: end },
  ];
}

function prologue(machine: Machine): Step[] {
  const gap = GAP[machine];
  return [
    { op: "load", offset: 4 },
    // i386 on x86-64, arm on aarch64: their numbers mean other calls.
    { op: "jump-if", test: "equal", value: AUDIT_ARCH[machine], then: "ours", otherwise: null },
    { op: "return", value: VERDICT.killProcess },
    { op: "label", name: "ours" },
    loadNumber,
    // x32 and -1 are beyond it too.
    ...when("at-least", LAST_KNOWN + 1, [refuse(ENOSYS)]),
    { op: "jump-if", test: "at-least", value: gap.from, then: null, otherwise: "known" },
    { op: "jump-if", test: "at-least", value: gap.to + 1, then: "known", otherwise: null },
    refuse(ENOSYS),
    { op: "label", name: "known" },
  ];
}

function rules(machine: Machine, profile: Profile): Step[] {
  const on = (name: Syscall, then: readonly Step[]): Step[] => {
    const number = SYSCALLS[name][machine];
    return number === null ? [] : when("equal", number, then);
  };
  const all = (names: readonly Syscall[], errno: number) =>
    names.flatMap((name) => on(name, [refuse(errno)]));
  const inCell = profile === "cell";
  return [
    ...all(MACHINE, EPERM),
    ...all(ABSENT, ENOSYS),
    ...(inCell ? [] : all(MOUNTS, EPERM)),
    ...(profile === "nested-tools" ? [] : all(DEBUGGING, EPERM)),
    ...on("ioctl", [
      { op: "load", offset: argument(1) },
      ...when("equal", TIOCSTI, [refuse(EPERM)]),
      ...when("equal", TIOCLINUX, [refuse(EPERM)]),
      allow,
    ]),
    ...(inCell ? [] : [
      ...on("clone", unlessNamespaces(NAMESPACE_FLAGS)),
      ...on("unshare", unlessNamespaces(NAMESPACE_FLAGS | NEWTIME)),
      // Its flags lie in memory, which a filter can't read; glibc then uses clone.
      ...on("clone3", [refuse(ENOSYS)]),
    ]),
    ...on("socket", sockets(profile)),
    ...on("socketpair", [
      { op: "load", offset: argument(0) },
      ...when("equal", AF_UNIX, [allow]),
      refuse(EAFNOSUPPORT),
    ]),
    ...on("personality", [
      { op: "load", offset: argument(0) },
      ...[...PERSONALITIES, ...(profile === "nested-tools" ? [ADDR_NO_RANDOMIZE] : [])]
        .flatMap((value) => when("equal", value, [allow])),
      refuse(EPERM),
    ]),
  ];
}

function unlessNamespaces(flags: number): Step[] {
  return [
    { op: "load", offset: argument(0) },
    { op: "and", mask: flags },
    ...when("equal", 0, [allow]),
    refuse(EPERM),
  ];
}

/** AF_VSOCK reaches the hypervisor, AF_ALG, AF_PACKET and the like reach far into the kernel. */
function sockets(profile: Profile): Step[] {
  const families = profile === "networkless" ? [AF_UNIX] : [AF_UNIX, AF_INET, AF_INET6];
  return [
    { op: "load", offset: argument(0) },
    ...families.flatMap((family) => when("equal", family, [allow])),
    // libc asks for the interfaces this way; the other protocols configure the kernel.
    ...when("equal", AF_NETLINK, [
      { op: "load", offset: argument(2) },
      ...when("equal", NETLINK_ROUTE, [allow]),
      refuse(EAFNOSUPPORT),
    ]),
    refuse(EAFNOSUPPORT),
  ];
}

/** The profile for this machine. Deno runs on no other than the two. */
export function seccompHere(profile: Profile): Uint8Array<ArrayBuffer> {
  return seccompProgram(Deno.build.arch, profile);
}
