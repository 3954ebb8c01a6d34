// SPDX-License-Identifier: Apache-2.0

/** `doctor`, declared. */
import { defineCommand } from "../framework/command.ts";

export const doctorCommand = defineCommand({
  path: ["doctor"],
  tool: { none: "`sh tasks/bureau` prepares what it needs" },
  brief: "Examine everything from the kernel to the rooms' power levels, and mend it",
  docs:
    "Six groups: the machine (a short-lived launcher tries everything in real sandboxes), the installation, the processes, the homeserver, the rooms, the " +
    "agents. Works whether Bureau runs, runs in part, or was never started. What stands on something that fails is skipped, and says so. Each finding says " +
    "why it matters, what mends it, and where docs/guide/troubleshooting.md tells more. --fix changes nothing that is well, and looks at all of it again " +
    "afterwards; what takes a decision it leaves to you. Ends with status 1 when something that is needed is missing.",
  flags: {
    fix: { kind: "switch", brief: "mend what can be mended safely; what needs root is printed" },
    "dry-run": { kind: "switch", brief: "list what --fix would do, and do nothing" },
    yes: {
      kind: "switch",
      brief: "with --fix, as root: also what changes the whole machine (sysctl, AppArmor)",
    },
    all: { kind: "switch", brief: "show what is well, too" },
    deadline: {
      kind: "number",
      brief: "seconds that each check may take",
      placeholder: "N",
      default: "5",
    },
    report: { kind: "switch", brief: "show a report from stdin (used by tasks/doctor.sh)" },
    fixes: { kind: "switch", brief: "with --report: print what --fix has to do with files" },
  },
  examples: [
    "sh tasks/bureau doctor",
    "sh tasks/bureau doctor --all",
    "sh tasks/bureau doctor --json",
    "sh tasks/bureau doctor --dry-run",
    "sh tasks/bureau doctor --fix",
  ],
  result: async () => (await import("./results.ts")).doctor,
  load: async () => (await import("./doctor.ts")).doctor,
});
