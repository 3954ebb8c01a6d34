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
];
