// SPDX-License-Identifier: Apache-2.0

/** Looking for files and for text in them. */
import { HeadAndTail, MAX_OUTPUT_CHARS } from "./cap.ts";
import { runGroup } from "./process.ts";
import { at, defineTool, ToolError } from "./tool.ts";

const SECONDS = 60;
/** What nobody looks for, and what holds most of the files. */
const SKIPPED = [".git", "node_modules"];

/** Runs one of the system's searchers; 1 is its word for "nothing". */
async function searched(
  command: string,
  args: readonly string[],
  cwd: string,
  signal: AbortSignal,
): Promise<string> {
  const written = new HeadAndTail(MAX_OUTPUT_CHARS - 1000);
  const ended = await runGroup(command, args, {
    cwd,
    timeoutMs: SECONDS * 1000,
    signal,
    onOutput: (chunk) => written.add(chunk),
    env: { LC_ALL: "C.UTF-8" },
  });
  const output = written.text().trimEnd();
  if (ended.why === "timeout") {
    throw new ToolError(`not done within ${SECONDS} s; look in one folder`);
  }
  if (ended.why === "aborted") throw new ToolError("cancelled");
  if (ended.code === 0 || (ended.code === 1 && output === "")) return output || "(nothing found)";
  // Something could not be read, what was found stands; of a pattern that is none it says why.
  if (ended.code === 2 && output !== "" && !output.startsWith(`${command}: `)) return output;
  throw new ToolError(output || "nothing found; some of it could not be read, or is not there");
}

export const grep = defineTool({
  name: "grep",
  description:
    "Looks for lines that match an extended regular expression (grep -E), in a file or in all files " +
    `below a folder, except ${SKIPPED.join(" and ")} and binary ones. Gives file:line:text.`,
  isReadOnly: true,
  properties: {
    pattern: { type: "string", description: "Extended regular expression" },
    path: { type: "string", description: "File or folder; default: the workspace" },
    files: { type: "string", description: "Only files of such names, e.g. *.ts" },
    ignore_case: { type: "boolean", description: "Default false" },
  },
  required: ["pattern"],
  run: async ({ pattern, path = ".", files, ignore_case }, context) =>
    await searched(
      "/bin/grep",
      [
        ...["-r", "-n", "-I", "-E", "-s", "--color=never", "-m", "200"],
        ...SKIPPED.map((dir) => `--exclude-dir=${dir}`),
        ...(files === undefined ? [] : [`--include=${files}`]),
        ...(ignore_case === true ? ["-i"] : []),
        ...["-e", pattern, "--", path === "." ? "." : at(path, context)],
      ],
      context.workspace,
      context.signal,
    ),
});

export const glob = defineTool({
  name: "glob",
  description:
    "Looks for files by name below a folder: * and ? stand for letters, ** for folders, e.g. src/**/*.ts. " +
    `Not in ${SKIPPED.join(", ")}.`,
  isReadOnly: true,
  properties: {
    pattern: { type: "string", description: "Of the path below that folder" },
    path: { type: "string", description: "Folder; default: the workspace" },
  },
  required: ["pattern"],
  run: async ({ pattern, path = "." }, context) => {
    const root = at(path, context);
    const matches = globPattern(pattern);
    const found: string[] = [];
    const waiting = [""];
    let seen = 0;
    while (waiting.length > 0 && found.length < 1000 && seen < 200_000) {
      context.signal.throwIfAborted();
      const dir = waiting.shift()!;
      let entries: Deno.DirEntry[] = [];
      try {
        entries = await Array.fromAsync(Deno.readDir(`${root}/${dir}`));
      } catch (thrown) {
        if (dir === "") {
          throw new ToolError(`cannot look in "${path}": ${(thrown as Error).message}`);
        }
      }
      for (const { name, isDirectory } of entries.sort((a, b) => a.name < b.name ? -1 : 1)) {
        seen++;
        const below = dir === "" ? name : `${dir}/${name}`;
        if (isDirectory && !SKIPPED.includes(name)) waiting.push(below);
        if (!isDirectory && matches.test(below)) found.push(below);
      }
    }
    const cut = waiting.length > 0 ? "\n(there may be more; look in one folder)" : "";
    return (found.sort().join("\n") || "(nothing found)") + cut;
  },
});

function globPattern(pattern: string): RegExp {
  const source = pattern.replace(/^\.\//, "").split(/(\*\*\/|\*\*|\*|\?)/).map((part) => {
    if (part === "**/") return "(?:[^/]+/)*";
    if (part === "**") return ".*";
    if (part === "*") return "[^/]*";
    if (part === "?") return "[^/]";
    return part.replace(/[.+^${}()|[\]\\]/g, "\\$&");
  }).join("");
  return new RegExp(`^${source}$`);
}
