// SPDX-License-Identifier: Apache-2.0

/** The commands of the group `config`, declared. */
import { type CommandSpec, defineCommand } from "../framework/command.ts";

const ENV = {
  kind: "texts",
  brief: "a variable of the environment (`sh tasks/bureau` says them)",
  placeholder: "NAME=VALUE",
} as const;

export const configCommands: readonly CommandSpec[] = [
  defineCommand({
    path: ["config", "init"],
    tool: { none: "`sh tasks/bureau` prepares what it needs" },
    brief: "Write a file of all settings, each with its default as a comment",
    docs: "`<state>/operator/bureau.yaml`. One that is there stays as it is.",
    flags: { env: ENV },
    examples: ["sh tasks/bureau config init"],
    result: async () => (await import("./results.ts")).init,
    load: async () => (await import("./config.ts")).init,
  }),
  defineCommand({
    path: ["config", "check"],
    tool: { none: "`sh tasks/bureau` prepares what it needs" },
    brief: "Try the file and the environment; every mistake with its line and column",
    docs: "Ends with status 1 when there is one.",
    flags: { env: ENV },
    examples: ["sh tasks/bureau config check"],
    result: async () => (await import("./results.ts")).check,
    load: async () => (await import("./config.ts")).check,
  }),
  defineCommand({
    path: ["config", "show"],
    tool: { none: "`sh tasks/bureau` prepares what it needs" },
    brief: "Show what the next `up` starts from, and where each setting stands",
    docs: "A flag of `up` comes before what is shown here.",
    flags: { env: ENV },
    examples: ["sh tasks/bureau config show", "sh tasks/bureau config show --json"],
    result: async () => (await import("./results.ts")).show,
    load: async () => (await import("./config.ts")).show,
  }),
  defineCommand({
    path: ["config", "daemon"],
    tool: { none: "it prints secrets" },
    brief: "Print what a daemon under systemd gets beside its session; it holds secrets",
    docs:
      "One line of JSON, for `/etc/bureau/daemon.json` (deploy/systemd/README.md): the page, and `notify`, `web_origin` and `peer` of the file, with the " +
      "secrets that it names. `up` tells its daemon by itself.",
    examples: ["sh tasks/bureau config daemon"],
    raw: "the daemon's bootstrap document, which changes with the daemon",
    load: async () => (await import("./daemon.ts")).daemon,
  }),
];
