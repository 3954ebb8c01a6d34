// SPDX-License-Identifier: Apache-2.0

/** What the pages say of the tree is so, and each decision says why. */
import assert from "node:assert/strict";
import { pagesBelow } from "./pages.ts";

const ROOT = new URL("../../", import.meta.url).pathname.replace(/\/$/, "");

const text = (path: string) => Deno.readTextFile(`${ROOT}/${path}`);
const exists = (path: string) => Deno.stat(`${ROOT}/${path}`).then(() => true, () => false);

async function folders(dir: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(`${ROOT}/${dir}`));
  return entries.filter(({ isDirectory }) => isDirectory).map(({ name }) => name).sort();
}

Deno.test("each decision has its context, reasons, costs and end, and a line in the index", async () => {
  const sections = ["Context", "Decision", "Reasons", "Costs", "What would change it"];
  const index = await text("docs/design/decisions.md");
  const pages = await Array.fromAsync(Deno.readDir(`${ROOT}/docs/design/decisions`));
  assert.ok(pages.length >= 7);
  for (const { name } of pages) {
    const page = await text(`docs/design/decisions/${name}`);
    const found = [...page.matchAll(/^## (.+)\n\n(?!## )\S/gm)].map(([, heading]) => heading!);
    assert.deepEqual(found.slice(0, sections.length), sections, name);
    const title = /^# (.+)\n/.exec(page)?.[1];
    assert.ok(index.includes(`[${title}](decisions/${name})`), `decisions.md lacks ${name}`);
  }
});

/** The lines of the source tree in architecture.md: a folder of the root, or one of `src`. */
async function documentedTree(): Promise<{ root: string[]; src: string[] }> {
  const page = await text("docs/design/architecture.md");
  const block = /## 2\. Source tree\n+```\n([^]*?)```/.exec(page)?.[1] ?? "";
  const named = (indent: string) =>
    [...block.matchAll(new RegExp(`^${indent}([a-z]+)/(?! .*\\(next\\))`, "gm"))]
      .map(([, name]) => name!).sort();
  return { root: named(""), src: named("  ") };
}

Deno.test("the source tree in the documents is that of the repository", async () => {
  const { root, src } = await documentedTree();
  assert.deepEqual(src, await folders("src"));
  const there = await folders("");
  assert.ok(root.length >= 6);
  // Besides what is built or fetched.
  assert.deepEqual(root.filter((name) => !there.includes(name)), []);
});

Deno.test("each page of the guide stands in its index, and with what holds it", async () => {
  const index = await text("docs/guide/README.md");
  const held = await text("docs/reference/verification.md");
  for await (const { name, isFile } of Deno.readDir(`${ROOT}/docs/guide`)) {
    if (!isFile || !name.endsWith(".md") || name === "README.md") continue;
    assert.ok(index.includes(`](${name})`), `docs/guide/README.md lacks ${name}`);
    assert.ok(held.includes(`](../guide/${name})`), `docs/reference/verification.md lacks ${name}`);
  }
});

/** `a{b,c}` is `ab` and `ac`. */
function spellings(pattern: string): string[] {
  const braces = /\{([^}]*)\}/.exec(pattern);
  if (braces === null) return [pattern];
  const before = pattern.slice(0, braces.index);
  const after = pattern.slice(braces.index + braces[0].length);
  return braces[1]!.split(",").flatMap((each) => spellings(before + each + after));
}

/** @returns the files and folders of this repository that a page names and that are not there */
async function missingPaths(page: string): Promise<string[]> {
  const named = page.matchAll(/`((?:src|tests|tasks|deploy|docs|agent)\/[\w./{},*-]+)`/g);
  const missing: string[] = [];
  for (const path of [...named].flatMap(([, each]) => spellings(each!))) {
    // Of a pattern the folder; a socket is one of a run directory.
    const star = path.indexOf("*");
    const file = star < 0 ? path : path.slice(0, path.lastIndexOf("/", star));
    if (!file.endsWith(".sock") && !await exists(file)) missing.push(path);
  }
  return missing;
}

Deno.test("every file of this repository that a page names is there", async () => {
  const missing: string[] = [];
  for await (const path of pagesBelow(ROOT)) {
    // What was: files may have moved since.
    if (path.endsWith("/CHANGELOG.md")) continue;
    const name = path.slice(ROOT.length + 1);
    missing.push(
      ...(await missingPaths(await Deno.readTextFile(path))).map((each) => `${name}: ${each}`),
    );
  }
  assert.deepEqual(missing, []);
});

Deno.test("a file that is not there is found, in each of its spellings", async () => {
  const page =
    "`src/cmd/{daemon,demon}.ts`, `tests/docs/*_test.ts`, `src/nowhere/*.ts`, `tasks/up`";
  assert.deepEqual(await missingPaths(page), ["src/cmd/demon.ts", "src/nowhere/*.ts"]);
});
