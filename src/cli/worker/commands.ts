// SPDX-License-Identifier: Apache-2.0

/** `worker run` and `worker pool`, declared: they start a parent of their own. */
import { type CommandSpec, defineCommand, type FlagSpec } from "../framework/command.ts";
import { SANDBOX_FLAGS } from "../sandbox/commands.ts";

const FLAGS: Readonly<Record<string, FlagSpec>> = {
  executor: {
    kind: "text",
    brief: "the engine: echo, cli_adapter or bamboo_runtime",
    placeholder: "KIND",
  },
  assignment: {
    kind: "text",
    brief: "what it is to do; without it, what comes on stdin",
    placeholder: "TEXT",
  },
  role: { kind: "text", brief: "what the worker is, e.g. researcher", placeholder: "ROLE" },
  model: { kind: "text", brief: "the model, and nothing else", placeholder: "PROVIDER/MODEL" },
  timeout: { kind: "number", brief: "seconds for a run, at most", placeholder: "N" },
  rounds: { kind: "number", brief: "answers of the model in a run, at most", placeholder: "N" },
  "disable-tool": { kind: "texts", brief: "hide this tool; may be repeated", placeholder: "NAME" },
  spec: {
    kind: "text",
    brief: "a provision spec (JSON) to start from; its fabric_dir and child_id are replaced",
    placeholder: "FILE",
  },
  fabric: {
    kind: "text",
    brief: "a directory for the workers (`sh tasks/bureau` makes it)",
    placeholder: "DIR",
  },
  runtime: {
    kind: "text",
    brief: "where Bureau's own programs are (`sh tasks/bureau` says it)",
    placeholder: "DIR",
  },
  ...SANDBOX_FLAGS,
};

const COMMAND = {
  name: "COMMAND",
  brief: "a command-line agent and its arguments, which reads the assignment on stdin",
  optional: true,
} as const;

export const workerCommands: readonly CommandSpec[] = [
  defineCommand({
    path: ["worker", "run"],
    tool: { none: "`sh tasks/bureau` prepares what it needs" },
    brief: "Give one assignment to a worker in a sandbox of its own",
    docs:
      "The worker gets a provision spec on its standard input, and nothing by its arguments or environment. Its sandbox is that of `sandbox run`. " +
      "With --json each event and the outcome is a line of JSON. Ends with status 1 unless the run was completed.",
    args: [COMMAND],
    variadic: true,
    flags: FLAGS,
    examples: [
      'sh tasks/bureau worker run --assignment "say this back"',
      'sh tasks/bureau worker run --json --assignment "say this back"',
      'sh tasks/bureau worker run --ro docs:/docs --assignment "guide" -- grep -rlF -f - /docs',
    ],
    load: async () => (await import("./run.ts")).run,
  }),
  defineCommand({
    path: ["worker", "pool"],
    tool: { none: "`sh tasks/bureau` prepares what it needs" },
    brief: "Give each line of stdin as an assignment to a few warm workers",
    docs:
      "A worker that ended a run well is used again; each other one is ended. Results come in the order of the assignments.",
    args: [COMMAND],
    variadic: true,
    flags: {
      size: {
        kind: "number",
        brief: "workers at a time, 1 to 8",
        placeholder: "N",
        default: "4",
      },
      ...FLAGS,
    },
    examples: ["seq 20 | sh tasks/bureau worker pool --size 2"],
    load: async () => (await import("./run.ts")).pool,
  }),
];
