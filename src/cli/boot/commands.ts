// SPDX-License-Identifier: Apache-2.0

/** What `up` runs, declared. */
import { type CommandSpec, defineCommand } from "../framework/command.ts";

export const bootCommands: readonly CommandSpec[] = [
  defineCommand({
    path: ["boot"],
    brief: "First boot, from one JSON document on stdin (used by `up`; safe to repeat)",
    hidden: true,
    load: async () => (await import("./boot.ts")).boot,
  }),
  defineCommand({
    path: ["join"],
    brief: "Join a fleet, from one JSON document on stdin (used by `up --join`; safe to repeat)",
    hidden: true,
    load: async () => (await import("./join.ts")).join,
  }),
];
