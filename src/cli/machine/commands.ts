// SPDX-License-Identifier: Apache-2.0

/** The commands of the group `machine`, declared. */
import { type CommandSpec, defineCommand } from "../framework/command.ts";

const MACHINE = { name: "MACHINE", brief: "its last name, or the full one" } as const;

export const machineCommands: readonly CommandSpec[] = [
  defineCommand({
    path: ["machine", "list"],
    brief: "List the fleet's machines",
    docs: "What the fleet's rooms say: it needs no daemon.",
    examples: ["sh tasks/bureau machine list", "sh tasks/bureau machine list --json"],
    load: async () => (await import("./list.ts")).list,
  }),
  defineCommand({
    path: ["machine", "show"],
    brief: "Show one machine: key, hardware, heartbeat, and what it shall run",
    docs: "Without a name: the one that you are on.",
    args: [{ ...MACHINE, optional: true }],
    examples: ["sh tasks/bureau machine show", "sh tasks/bureau machine show --json"],
    load: async () => (await import("./list.ts")).show,
  }),
  defineCommand({
    path: ["machine", "provision"],
    brief: "Make a boot file with which another machine may join the fleet, once",
    docs:
      "Makes the machine's account and rooms, and a file (0600) with a one-time password and a challenge. Take it there, and start Bureau there with " +
      "`sh tasks/up --join FILE`: the machine makes its own key, proves that it has it, and gives itself another password, with which the file is worthless. " +
      "Until then, repeating the command makes a new file and the one before worthless.",
    args: [{ name: "NAME", brief: "lower-case letters, digits, `-`: its name in the fleet" }],
    flags: {
      hours: { kind: "number", brief: "how long it may join", placeholder: "N", default: "24" },
      homeserver: {
        kind: "text",
        brief: "where that machine reaches the homeserver, if not as this one does",
        placeholder: "URL",
      },
    },
    examples: ["sh tasks/bureau machine provision worker"],
    load: async () => (await import("./provision.ts")).provision,
  }),
];
