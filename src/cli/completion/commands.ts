// SPDX-License-Identifier: Apache-2.0

/** `completion` and `complete`, declared. */
import { type CommandSpec, defineCommand } from "../framework/command.ts";

export const completionCommands: readonly CommandSpec[] = [
  defineCommand({
    path: ["completion"],
    tool: { none: "it is for a person's shell" },
    brief: "Print what makes a shell complete commands, flags and the names of agents and rooms",
    docs:
      'For a shell\'s start file: `eval "$(sh tasks/bureau completion bash)"` (zsh alike), `sh tasks/bureau completion fish | source`. ' +
      "It also makes `bureau` a command there, unless a program of that name is installed.",
    args: [{ name: "SHELL", brief: "bash, zsh or fish", oneOf: ["bash", "zsh", "fish"] }],
    flags: {
      program: {
        kind: "text",
        brief: "what `bureau` runs (`sh tasks/bureau` says it)",
        placeholder: "FILE",
      },
    },
    examples: ["sh tasks/bureau completion bash"],
    raw: "a script for a shell",
    load: async () => (await import("./script.ts")).completion,
  }),
  defineCommand({
    path: ["complete"],
    hidden: true,
    tool: { none: "it is for a person's shell" },
    brief: "What may come at the end of a line, for `completion`",
    flags: {
      line: {
        kind: "text",
        brief: "the line up to the cursor",
        placeholder: "TEXT",
      },
      words: { kind: "text", brief: "or its words, each with the end of a line" },
      breaks: { kind: "text", brief: "characters at which the shell breaks words" },
    },
    load: async () => (await import("./propose.ts")).propose,
  }),
];
