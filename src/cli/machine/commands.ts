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
  defineCommand({
    path: ["machine", "upgrade"],
    brief: "Replace every process of this machine by that of another release; agents go on",
    docs:
      "Takes the build of the checkout that `up` was started from, or with --release one that lies in the state directory. Each process " +
      "is replaced and must prove itself, the supervisor last. What fails is put back by itself, and that release is not tried again.",
    flags: {
      release: {
        kind: "text",
        brief: "a release in `releases/` of the state directory",
        placeholder: "DIGEST",
      },
      again: { kind: "switch", brief: "though it failed here before" },
      settle: {
        kind: "text",
        brief: "how long everything must stay well",
        placeholder: "SECONDS",
        default: "10",
      },
      deadline: {
        kind: "text",
        brief: "how long after each replacement everything may take to be well",
        placeholder: "SECONDS",
        default: "60",
      },
    },
    examples: ["sh tasks/bureau machine upgrade"],
    load: async () => (await import("./upgrade.ts")).upgrade,
  }),
  defineCommand({
    path: ["machine", "releases"],
    brief: "Show which release runs here, which ran before, and which failed",
    examples: ["sh tasks/bureau machine releases"],
    load: async () => (await import("./upgrade.ts")).releases,
  }),
];
