// SPDX-License-Identifier: Apache-2.0

/** Files: read, write, edit, list. Which there are, and which may be written, is the sandbox's to say. */
import { MAX_OUTPUT_CHARS } from "./cap.ts";
import { at, defineTool, type ToolContext, ToolError, wordsOf } from "./tool.ts";

const DEFAULT_LINES = 2000;
const MAX_LINE_CHARS = 2000;
/** A larger file is not read into memory. */
const MAX_FILE_BYTES = 16 * 1024 * 1024;
const MAX_ENTRIES = 1000;

const path = { type: "string", description: "Absolute, or below the workspace" } as const;

/** @throws {ToolError} for what is no text of a moderate size */
async function textOf(given: string, context: ToolContext): Promise<string> {
  const file = at(given, context);
  let bytes: Uint8Array;
  try {
    const { isFile, size } = await Deno.stat(file);
    if (!isFile) throw new ToolError(`"${given}" is no regular file`);
    if (size > MAX_FILE_BYTES) {
      throw new ToolError(
        `"${given}" has ${size} bytes, too many to read; use bash for a part of it`,
      );
    }
    bytes = await Deno.readFile(file, { signal: context.signal });
  } catch (thrown) {
    if (thrown instanceof ToolError) throw thrown;
    throw new ToolError(`cannot read "${given}": ${wordsOf(thrown)}`);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new ToolError(`"${given}" is no text in UTF-8 (${bytes.length} bytes)`);
  }
}

/** Whole or not at all: who reads it meanwhile sees the old one. */
async function replace(given: string, text: string, context: ToolContext): Promise<void> {
  const file = at(given, context);
  try {
    const dir = file.slice(0, file.lastIndexOf("/")) || "/";
    await Deno.mkdir(dir, { recursive: true });
    // A link stays one, and what it leads to is written.
    const target = await Deno.realPath(file).catch(() => file);
    const before = await Deno.stat(target).catch(() => null);
    if (before !== null && !before.isFile) throw new ToolError(`"${given}" is no regular file`);
    const fresh = `${target}.${crypto.randomUUID().slice(0, 8)}.new`;
    try {
      await Deno.writeTextFile(fresh, text, { createNew: true });
      if (before?.mode) await Deno.chmod(fresh, before.mode & 0o7777);
      await Deno.rename(fresh, target);
    } catch (thrown) {
      await Deno.remove(fresh).catch(() => {});
      throw thrown;
    }
  } catch (thrown) {
    if (thrown instanceof ToolError) throw thrown;
    throw new ToolError(`cannot write "${given}": ${wordsOf(thrown)}`);
  }
}

export const read = defineTool({
  name: "read",
  description: "Reads a text file, each line with its number",
  isReadOnly: true,
  properties: {
    path,
    from_line: { type: "integer", description: "First line, from 1; default 1", minimum: 1 },
    lines: {
      type: "integer",
      description: `How many; default and most ${DEFAULT_LINES}`,
      minimum: 1,
      maximum: DEFAULT_LINES,
    },
  },
  required: ["path"],
  run: async (input, context) => {
    const text = await textOf(input.path, context);
    if (text === "") return "(the file is empty)";
    const all = text.replace(/\n$/, "").split("\n");
    const from = input.from_line ?? 1;
    if (from > all.length) throw new ToolError(`"${input.path}" has ${all.length} lines only`);
    const shown: string[] = [];
    let chars = 0;
    for (const line of all.slice(from - 1, from - 1 + (input.lines ?? DEFAULT_LINES))) {
      const cut = line.length <= MAX_LINE_CHARS
        ? line
        : `${line.slice(0, MAX_LINE_CHARS)}… (${line.length} characters)`;
      const numbered = `${String(from + shown.length).padStart(6)}\t${cut}`;
      if (chars + numbered.length > MAX_OUTPUT_CHARS) break;
      chars += numbered.length + 1;
      shown.push(numbered);
    }
    const next = from + shown.length;
    return next > all.length
      ? shown.join("\n")
      : `${shown.join("\n")}\n(${all.length} lines; go on with from_line ${next})`;
  },
});

export const write = defineTool({
  name: "write",
  description:
    "Writes a text file, new or in the place of the one that is there; makes its folders",
  isReadOnly: false,
  properties: { path, content: { type: "string", description: "The whole new text" } },
  required: ["path", "content"],
  run: async (input, context) => {
    await replace(input.path, input.content, context);
    return `wrote "${input.path}" (${new TextEncoder().encode(input.content).length} bytes)`;
  },
});

export const edit = defineTool({
  name: "edit",
  description:
    "Replaces a text in a file by another. `old` must be there exactly, white space included, and once " +
    "only, unless `all` is true.",
  isReadOnly: false,
  properties: {
    path,
    old: { type: "string", description: "What stands there" },
    new: { type: "string", description: "What shall stand there" },
    all: { type: "boolean", description: "Every place; default false" },
  },
  required: ["path", "old", "new"],
  run: async (input, context) => {
    if (input.old === "") throw new ToolError("`old` is empty; use write for a new file");
    if (input.old === input.new) throw new ToolError("`old` and `new` are the same");
    const text = await textOf(input.path, context);
    const parts = text.split(input.old);
    const places = parts.length - 1;
    if (places === 0) throw new ToolError(`\`old\` is not in "${input.path}"`);
    if (places > 1 && input.all !== true) {
      throw new ToolError(
        `\`old\` is ${places} times in "${input.path}"; give more of what is around it, or \`all\``,
      );
    }
    await replace(input.path, parts.join(input.new), context);
    return `replaced ${places === 1 ? "it" : `${places} places`} in "${input.path}"`;
  },
});

export const list = defineTool({
  name: "list",
  description: "Lists a folder: folders with a slash, files with their sizes",
  isReadOnly: true,
  properties: { path: { ...path, description: "Default: the workspace" } },
  required: [],
  run: async (input, context) => {
    const given = input.path ?? ".";
    const dir = at(given, context);
    const found: { name: string; isDirectory: boolean }[] = [];
    let total = 0;
    try {
      for await (const entry of Deno.readDir(dir)) {
        if (++total <= 10 * MAX_ENTRIES) found.push(entry);
      }
    } catch (thrown) {
      throw new ToolError(`cannot list "${given}": ${wordsOf(thrown)}`);
    }
    found.sort((a, b) => a.name < b.name ? -1 : 1);
    const lines = await Promise.all(
      found.slice(0, MAX_ENTRIES).map(async ({ name, isDirectory }) => {
        if (isDirectory) return `${name}/`;
        const info = await Deno.lstat(`${dir}/${name}`).catch(() => null);
        return info === null ? name : info.isSymlink ? `${name}@` : `${name}\t${info.size}`;
      }),
    );
    if (lines.length === 0) return "(the folder is empty)";
    const left = total - lines.length;
    return left === 0 ? lines.join("\n") : `${lines.join("\n")}\n(and ${left} more)`;
  },
});
