// SPDX-License-Identifier: Apache-2.0

/** `tutorial`, declared. */
import { defineCommand } from "../framework/command.ts";

export const tutorialCommand = defineCommand({
  path: ["tutorial"],
  tool: { none: "it waits for what a person does in another terminal" },
  brief: "Walk through an agent's life: start, watch, message, credential, egress, stop",
  docs:
    "Shows what to type in a second terminal, one step after the other, waits until it sees it done, and says what happened. Ctrl-C leaves; --from goes on.",
  flags: {
    agent: {
      kind: "text",
      brief: "what the agent is called that is made and destroyed on the way",
      placeholder: "NAME",
      default: "tutor",
    },
    from: { kind: "number", brief: "the step to begin with", placeholder: "N" },
    command: {
      kind: "text",
      brief: "how the reader types `bureau`",
      placeholder: "TEXT",
      default: "sh tasks/bureau",
    },
  },
  result: async () => (await import("./results.ts")).tutorial,
  load: async () => (await import("./tutorial.ts")).tutorial,
});
