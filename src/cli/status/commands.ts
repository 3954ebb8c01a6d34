// SPDX-License-Identifier: Apache-2.0

/** `status` and `version`, declared. */
import { defineCommand } from "../framework/command.ts";

export const statusCommand = defineCommand({
  path: ["status"],
  tool: { effect: "reads", without: ["permissions", "watch", "check"] },
  brief: "Show on one screen what runs, what is not well, and what waits for you",
  docs:
    "Homeserver, processes, agents, questions about destinations and tool calls, credentials that expire within a week, machines of the fleet that " +
    "were not seen for a quarter of an hour: what is BAD, WAITS or will be bad SOON, each with what to do next, the worst first. On a terminal it fits the " +
    "screen. Ends with status 3 when nothing runs, with --check also with 1 when something is bad, else with 0.",
  flags: {
    watch: { kind: "switch", brief: "show it again every two seconds, until ctrl-C" },
    check: { kind: "switch", brief: "end with status 1 when something is bad, for scripts" },
    permissions: {
      kind: "switch",
      brief: "print what each process is permitted, with this machine's paths",
    },
  },
  examples: ["sh tasks/bureau status"],
  result: async () => (await import("./results.ts")).status,
  load: async () => (await import("./status.ts")).status,
});

export const versionCommand = defineCommand({
  path: ["version"],
  tool: { effect: "reads" },
  brief: "Print the version, and which releases of an installation are in use",
  flags: {
    release: { kind: "text", brief: "the release in use; the installed command says it" },
    running: { kind: "text", brief: "releases that run, with blanks between; so is this" },
  },
  result: async () => (await import("./results.ts")).version,
  load: async () => (await import("./version.ts")).version,
});
