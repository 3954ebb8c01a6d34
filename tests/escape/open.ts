// SPDX-License-Identifier: Apache-2.0

/**
 * Probes that are known to break out, until what stops them is there. A defence that lands takes its
 * probes out of here; a release has none.
 */
export const KNOWN_OPEN: readonly string[] = [
  // Without a system call filter.
  "terminal-input",
  "terminal-console",
  "clone3",
  "trace-others",
  "read-others-memory",
  "keyring-read",
  "keyring-add",
  "keyring-request",
  "bpf",
  "perf",
  "userfaultfd",
  "io-uring",
  "mount",
  "mount-api",
  "file-handles",
  "clock",
  "swap",
  "accounting",
  "personality",
  "filter-active",
  "other-abi-32",
  "socket-vsock",
  "socket-crypto",
  "socket-exotic",
  // Without protected paths.
  "git-hooks",
  "git-config",
  "git-exchange",
  "editor-configuration",
];
