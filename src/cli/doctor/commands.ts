// SPDX-License-Identifier: Apache-2.0

/** `doctor`, declared. */
import { defineCommand } from "../framework/command.ts";

export const doctorCommand = defineCommand({
  path: ["doctor"],
  tool: { none: "`sh tasks/bureau` prepares what it needs" },
  brief: "Examine this machine: what sandboxes need, which limits it can set, what it is made of",
  docs:
    "A short-lived launcher tries everything in real sandboxes; each finding says why it matters and what mends it. " +
    "Ends with status 1 when something that is needed is missing.",
  flags: {
    fix: {
      kind: "switch",
      brief: "mend what can be mended safely (as root; else print the commands)",
    },
    report: { kind: "switch", brief: "show a report from stdin (used by tasks/doctor.sh)" },
    fixes: { kind: "switch", brief: "with --report: print only what --fix would do" },
  },
  examples: [
    "sh tasks/bureau doctor",
    "sh tasks/bureau doctor --json",
    "sh tasks/bureau doctor --fix",
  ],
  load: async () => (await import("./doctor.ts")).doctor,
});
