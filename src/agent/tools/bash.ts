// SPDX-License-Identifier: Apache-2.0

/** Commands of the shell. */
import { HeadAndTail, MAX_OUTPUT_CHARS } from "./cap.ts";
import { runGroup } from "./process.ts";
import { defineTool } from "./tool.ts";

const DEFAULT_SECONDS = 120;
const MOST_SECONDS = 3600;

export const bash = defineTool({
  name: "bash",
  description:
    "Runs a command with bash in the workspace and gives back what it wrote, and its exit code. Each " +
    "call is a shell of its own: directories and variables do not stay. No input, no terminal. What it " +
    "starts in the background ends with it.",
  isReadOnly: false,
  properties: {
    command: { type: "string", description: "The command" },
    timeout_seconds: {
      type: "integer",
      description: `It is killed after so long; default ${DEFAULT_SECONDS}`,
      minimum: 1,
      maximum: MOST_SECONDS,
    },
  },
  required: ["command"],
  run: async ({ command, timeout_seconds = DEFAULT_SECONDS }, { workspace, signal }) => {
    const written = new HeadAndTail(MAX_OUTPUT_CHARS - 1000);
    const ended = await runGroup("/bin/bash", ["-c", command], {
      cwd: workspace,
      timeoutMs: timeout_seconds * 1000,
      signal,
      onOutput: (chunk) => written.add(chunk),
    });
    const output = written.text().replace(/\n$/, "");
    if (ended.why === "aborted") return failed(output, "cancelled; it was killed");
    if (ended.why === "timeout") {
      return failed(output, `not done within ${timeout_seconds} s; it was killed`);
    }
    if (ended.signal !== null) return failed(output, `ended by ${ended.signal}`);
    if (ended.code !== 0) return failed(output, `exit code ${ended.code}`);
    return output;
  },
});

function failed(output: string, why: string) {
  return { output: output === "" ? `(${why})` : `${output}\n(${why})`, is_error: true };
}
