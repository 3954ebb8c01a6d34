// SPDX-License-Identifier: Apache-2.0

/** The daemon: sync, reconcile, egress, observation. */
export { Daemon, DAEMON_VERSION } from "./daemon.ts";
export type { DaemonOptions } from "./daemon.ts";
export { DaemonError } from "./errors.ts";
