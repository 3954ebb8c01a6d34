// SPDX-License-Identifier: Apache-2.0

/** The commands of the group `notify`, declared. */
import { type CommandSpec, defineCommand } from "../framework/command.ts";

export const notifyCommands: readonly CommandSpec[] = [
  defineCommand({
    path: ["notify", "list"],
    tool: { effect: "reads" },
    brief: "Show whom this machine tells when an agent needs a person, and how that went",
    docs: "They stand below `notify:` in `<state>/operator/bureau.yaml`.",
    examples: ["sh tasks/bureau notify list"],
    result: async () => (await import("./results.ts")).list,
    load: async () => (await import("./notify.ts")).list,
  }),
  defineCommand({
    path: ["notify", "test"],
    tool: { effect: "changes", openWorld: true },
    brief: "Send a test message to one target, or to all",
    docs:
      "Once, without waiting for quiet hours to end. Ends with status 1 when one did not take it.",
    args: [{ name: "TARGET", brief: "its name, as `notify list` shows it", optional: true }],
    result: async () => (await import("./results.ts")).test,
    load: async () => (await import("./notify.ts")).test,
  }),
];
