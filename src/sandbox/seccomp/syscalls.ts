// SPDX-License-Identifier: Apache-2.0

/**
 * Numbers of the system calls that a filter names; null: that machine has none of the name. From the
 * headers of Linux 6.1 (Debian linux-libc-dev): asm/unistd_64.h, asm-generic/unistd.h for aarch64. Numbers
 * never change.
 */
export type Machine = "x86_64" | "aarch64";

/** linux/audit.h: what `seccomp_data.arch` says. */
export const AUDIT_ARCH: Readonly<Record<Machine, number>> = {
  x86_64: 0xc000_003e,
  aarch64: 0xc000_00b7,
};

/** From here on every number is the same on both. Linux 6.10; what came later is ENOSYS to the sandbox. */
export const LAST_KNOWN = 462;

/** Numbers between the machine's own and the common ones: only newer kernels have some there. */
export const GAP: Readonly<Record<Machine, { readonly from: number; readonly to: number }>> = {
  x86_64: { from: 335, to: 423 },
  aarch64: { from: 295, to: 423 },
};

/** Numbers with this bit are x32's, which runs on the same `arch` as x86-64. */
export const X32_BIT = 0x4000_0000;

export const SYSCALLS = {
  _sysctl: { x86_64: 156, aarch64: null },
  acct: { x86_64: 163, aarch64: 89 },
  add_key: { x86_64: 248, aarch64: 217 },
  adjtimex: { x86_64: 159, aarch64: 171 },
  afs_syscall: { x86_64: 183, aarch64: null },
  bpf: { x86_64: 321, aarch64: 280 },
  chroot: { x86_64: 161, aarch64: 51 },
  clock_adjtime: { x86_64: 305, aarch64: 266 },
  clock_settime: { x86_64: 227, aarch64: 112 },
  clone: { x86_64: 56, aarch64: 220 },
  clone3: { x86_64: 435, aarch64: 435 },
  create_module: { x86_64: 174, aarch64: null },
  delete_module: { x86_64: 176, aarch64: 106 },
  epoll_ctl_old: { x86_64: 214, aarch64: null },
  epoll_wait_old: { x86_64: 215, aarch64: null },
  fanotify_init: { x86_64: 300, aarch64: 262 },
  fanotify_mark: { x86_64: 301, aarch64: 263 },
  finit_module: { x86_64: 313, aarch64: 273 },
  fsconfig: { x86_64: 431, aarch64: 431 },
  fsmount: { x86_64: 432, aarch64: 432 },
  fsopen: { x86_64: 430, aarch64: 430 },
  fspick: { x86_64: 433, aarch64: 433 },
  get_kernel_syms: { x86_64: 177, aarch64: null },
  getpmsg: { x86_64: 181, aarch64: null },
  init_module: { x86_64: 175, aarch64: 105 },
  io_uring_enter: { x86_64: 426, aarch64: 426 },
  io_uring_register: { x86_64: 427, aarch64: 427 },
  io_uring_setup: { x86_64: 425, aarch64: 425 },
  ioctl: { x86_64: 16, aarch64: 29 },
  ioperm: { x86_64: 173, aarch64: null },
  iopl: { x86_64: 172, aarch64: null },
  kcmp: { x86_64: 312, aarch64: 272 },
  kexec_file_load: { x86_64: 320, aarch64: 294 },
  kexec_load: { x86_64: 246, aarch64: 104 },
  keyctl: { x86_64: 250, aarch64: 219 },
  lookup_dcookie: { x86_64: 212, aarch64: 18 },
  migrate_pages: { x86_64: 256, aarch64: 238 },
  modify_ldt: { x86_64: 154, aarch64: null },
  mount: { x86_64: 165, aarch64: 40 },
  mount_setattr: { x86_64: 442, aarch64: 442 },
  move_mount: { x86_64: 429, aarch64: 429 },
  move_pages: { x86_64: 279, aarch64: 239 },
  name_to_handle_at: { x86_64: 303, aarch64: 264 },
  nfsservctl: { x86_64: 180, aarch64: 42 },
  open_by_handle_at: { x86_64: 304, aarch64: 265 },
  open_tree: { x86_64: 428, aarch64: 428 },
  perf_event_open: { x86_64: 298, aarch64: 241 },
  personality: { x86_64: 135, aarch64: 92 },
  pidfd_getfd: { x86_64: 438, aarch64: 438 },
  pivot_root: { x86_64: 155, aarch64: 41 },
  process_vm_readv: { x86_64: 310, aarch64: 270 },
  process_vm_writev: { x86_64: 311, aarch64: 271 },
  ptrace: { x86_64: 101, aarch64: 117 },
  putpmsg: { x86_64: 182, aarch64: null },
  query_module: { x86_64: 178, aarch64: null },
  quotactl: { x86_64: 179, aarch64: 60 },
  quotactl_fd: { x86_64: 443, aarch64: 443 },
  reboot: { x86_64: 169, aarch64: 142 },
  request_key: { x86_64: 249, aarch64: 218 },
  security: { x86_64: 185, aarch64: null },
  setdomainname: { x86_64: 171, aarch64: 162 },
  sethostname: { x86_64: 170, aarch64: 161 },
  setns: { x86_64: 308, aarch64: 268 },
  settimeofday: { x86_64: 164, aarch64: 170 },
  socket: { x86_64: 41, aarch64: 198 },
  socketpair: { x86_64: 53, aarch64: 199 },
  swapoff: { x86_64: 168, aarch64: 225 },
  swapon: { x86_64: 167, aarch64: 224 },
  sysfs: { x86_64: 139, aarch64: null },
  syslog: { x86_64: 103, aarch64: 116 },
  tuxcall: { x86_64: 184, aarch64: null },
  umount2: { x86_64: 166, aarch64: 39 },
  unshare: { x86_64: 272, aarch64: 97 },
  uselib: { x86_64: 134, aarch64: null },
  userfaultfd: { x86_64: 323, aarch64: 282 },
  ustat: { x86_64: 136, aarch64: null },
  vhangup: { x86_64: 153, aarch64: 58 },
  vserver: { x86_64: 236, aarch64: null },
} as const satisfies Readonly<Record<string, Readonly<Record<Machine, number | null>>>>;

export type Syscall = keyof typeof SYSCALLS;
