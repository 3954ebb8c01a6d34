// SPDX-License-Identifier: Apache-2.0

/** The pages of this repository. */

const NOT_OURS = new Set([".git", "node_modules", ".deno", "dist"]);

/** @returns the absolute path of every Markdown file below `dir` that is not fetched or built */
export async function* pagesBelow(dir: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(dir)) {
    if (NOT_OURS.has(name) || name.startsWith(".dist")) continue;
    const path = `${dir}/${name}`;
    if (isDirectory) yield* pagesBelow(path);
    else if (name.endsWith(".md")) yield path;
  }
}
