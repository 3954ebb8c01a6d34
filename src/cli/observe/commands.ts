// SPDX-License-Identifier: Apache-2.0

/** `observe`, declared. */
import { ON_MACHINE, PRINCIPAL } from "../arguments.ts";
import { defineCommand } from "../framework/command.ts";

export const observeCommand = defineCommand({
  path: ["observe"],
  tool: { none: "it needs a terminal; `agent output` shows what stands on the agent's" },
  brief: "Watch an agent's terminal live, and drive it",
  docs:
    "ctrl-] then d leaves; the agent goes on. ctrl-] ? shows the other keys. Whoever types has the keyboard, and the agent's terminal that one's size; " +
    "all others see it in theirs as it fits. After a break of the connection it goes on where it was. Needs a terminal, except with --dump. " +
    "An agent of another machine (NAME@MACHINE, or found by its assignment) is watched through that machine's daemon.",
  args: [PRINCIPAL],
  flags: {
    machine: ON_MACHINE,
    readonly: { kind: "switch", brief: "watch without a keyboard" },
    "read-only": { kind: "switch", brief: "the same" },
    since: {
      kind: "text",
      brief:
        "show first, quickly, what was since then: 90s, 10m, 1h; with --dump the screen of then",
      placeholder: "TIME",
    },
    dump: { kind: "switch", brief: "print the screen as it is now and leave" },
    wait: { kind: "switch", brief: "stay while it does not run, until it runs again" },
  },
  examples: [
    "sh tasks/bureau observe agent/scribe",
    "sh tasks/bureau observe agent/scribe --since 10m",
    "sh tasks/bureau observe agent/scribe --dump",
  ],
  result: async () => (await import("./results.ts")).observe,
  load: async () => (await import("./observe.ts")).observe,
});
