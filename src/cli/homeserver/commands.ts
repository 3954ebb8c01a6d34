// SPDX-License-Identifier: Apache-2.0

/** The commands of the group `homeserver`, declared. */
import { type CommandSpec, defineCommand } from "../framework/command.ts";

export const homeserverCommands: readonly CommandSpec[] = [
  defineCommand({
    path: ["homeserver", "stats"],
    tool: { effect: "reads" },
    brief: "Show what the embedded homeserver did since it started",
    docs: "For Prometheus: GET /_bureau/homeserver/v1/metrics with the operator's access token.",
    examples: ["sh tasks/bureau homeserver stats"],
    result: async () => (await import("./results.ts")).stats,
    load: async () => (await import("./operations.ts")).stats,
  }),
  defineCommand({
    path: ["homeserver", "backup"],
    tool: { effect: "changes" },
    brief: "Copy the database and its media while everything goes on",
    docs:
      "The copy lies in `backups/` of the homeserver's own directory, checked, mode 0600. To restore it: `sh tasks/up --down`, " +
      "put its `homeserver.db` and `media` in the place of those beside `backups`, remove `homeserver.db-wal` and " +
      "`homeserver.db-shm`, and start again.",
    flags: {
      keep: {
        kind: "number",
        brief: "keep the newest N, this one among them, and remove older ones",
        placeholder: "N",
      },
    },
    examples: ["sh tasks/bureau homeserver backup", "sh tasks/bureau homeserver backup --keep 14"],
    result: async () => (await import("./results.ts")).backup,
    load: async () => (await import("./operations.ts")).backup,
  }),
  defineCommand({
    path: ["homeserver", "compact"],
    tool: { effect: "changes", idempotent: true },
    brief: "Remove what nothing refers to and give the room back",
    docs: "Requests wait meanwhile: a second for some 100 MB that become free.",
    examples: ["sh tasks/bureau homeserver compact"],
    result: async () => (await import("./results.ts")).compact,
    load: async () => (await import("./operations.ts")).compact,
  }),
];
