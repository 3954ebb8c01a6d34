// SPDX-License-Identifier: Apache-2.0

/** `status` and `version`, declared. */
import { defineCommand } from "../framework/command.ts";

export const statusCommand = defineCommand({
  path: ["status"],
  tool: { effect: "reads", without: ["permissions"] },
  brief: "Show what runs: processes, homeserver, agents",
  flags: {
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
