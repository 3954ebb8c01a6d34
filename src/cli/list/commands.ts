// SPDX-License-Identifier: Apache-2.0

/** `list`, declared. */
import { ON_MACHINE } from "../arguments.ts";
import { defineCommand } from "../framework/command.ts";

export const listCommand = defineCommand({
  path: ["list"],
  tool: { effect: "reads", without: ["watch"] },
  brief: "List all agents and services here: state, processor, memory, watchers, last line",
  docs:
    "Who needs a person comes first, with a `!` before the state. The processor's use is of one processor, in percent, over a moment.",
  flags: {
    watch: { kind: "switch", brief: "again and again, until ctrl-C" },
    machine: ON_MACHINE,
  },
  examples: ["sh tasks/bureau list", "sh tasks/bureau list --json"],
  result: async () => (await import("./results.ts")).list,
  line: async () => (await import("./results.ts")).line,
  load: async () => (await import("./list.ts")).list,
});
