// SPDX-License-Identifier: Apache-2.0

/** Nothing that a page shows is left out of the tests of this folder, and no excuse has outlived what it was for. */
import assert from "node:assert/strict";
import { commands } from "../../src/cli/commands.ts";
import { blocksOf, commandsOf, type DocumentedCommand } from "./commands.ts";
import { pagesBelow } from "./pages.ts";
import { PAGES, RULES, treatmentOf } from "./rules.ts";

const ROOT = new URL("../../", import.meta.url).pathname.replace(/\/$/, "");

async function* texts(): AsyncGenerator<{ page: string; text: string }> {
  for await (const path of pagesBelow(ROOT)) {
    yield { page: path.slice(ROOT.length + 1), text: await Deno.readTextFile(path) };
  }
}

async function followed(): Promise<DocumentedCommand[]> {
  const read = async (page: string) => commandsOf(page, await Deno.readTextFile(`${ROOT}/${page}`));
  return (await Promise.all(PAGES.map(read))).flat();
}

Deno.test("every documented command is run, or excused with a reason that is so", async () => {
  const missing: string[] = [];
  for (const command of await followed()) {
    const treatment = treatmentOf(command);
    if (treatment.kind !== "not-run") continue;
    for (const [file] of treatment.reason.matchAll(/\btests\/[\w./]+_test\.ts/g)) {
      const there = await Deno.stat(`${ROOT}/${file}`).then(() => true, () => false);
      if (!there) missing.push(`${command.text}: ${file}`);
    }
  }
  assert.deepEqual(missing, []);
});

Deno.test("every rule is for a command that some page shows", async () => {
  const shown = await followed();
  const unused = RULES.filter(([pattern]) => !shown.some(({ text }) => pattern.test(text)));
  assert.deepEqual(unused.map(([pattern]) => pattern.source), []);
});

Deno.test("every page with commands is one that is followed", async () => {
  for await (const { page, text } of texts()) {
    if (PAGES.includes(page)) continue;
    assert.deepEqual(commandsOf(page, text), [], `${page} has commands and is not in PAGES`);
  }
});

Deno.test("every command stands in a block that is followed", async () => {
  const hidden: string[] = [];
  for await (const { page, text } of texts()) {
    for (const { line, language, lines } of blocksOf(page, text)) {
      if (language === "sh") continue;
      const at = lines.findIndex((each) => /^\s*(\$ )?(sh tasks\/|deno (task|run) )/.test(each));
      if (at >= 0) hidden.push(`${page}:${line + at}: ${lines[at]!.trim()}`);
    }
  }
  assert.deepEqual(hidden, [], "a block of commands is a fenced block of the language sh");
});

/** @returns what is wrong with the command of Bureau's that a sentence names */
function mistakeIn(words: readonly string[]): string | null {
  const named = words.slice(0, words.findIndex((word) => !/^[a-z]+$/.test(word)) >>> 0);
  const isPrefix = (path: readonly string[], length: number) =>
    path.slice(0, length).join(" ") === named.slice(0, length).join(" ");
  const known = commands.filter(({ path }) => path.length <= named.length)
    .filter(({ path }) => isPrefix(path, path.length))
    .sort((one, other) => other.path.length - one.path.length)[0];
  // A group by its name alone.
  const isGroup = commands.some(({ path }) => isPrefix(path, named.length));
  if (known === undefined) return isGroup || named.length === 0 ? null : "there is no such command";
  const flags = ["json", "state-dir", "run-dir", "help", ...Object.keys(known.flags ?? {})];
  const unknown = words.filter((word) => word.startsWith("--"))
    .map((word) => /^--([a-z-]*)/.exec(word)![1]!)
    .find((flag) =>
      flag !== "" && !flags.includes(flag.replace(/^no-/, "")) && !flags.includes(flag)
    );
  return unknown === undefined ? null : `it has no flag --${unknown}`;
}

/** What sentences name in passing: the block's commands are run. */
function mistakesIn(text: string): string[] {
  const prose = text.replace(/^```[^]*?^```/gm, "");
  return [...prose.matchAll(/`(?:sh tasks\/)?bureau ([a-z][^`]*)`/g)].flatMap(([, line]) => {
    const mistake = mistakeIn(line!.split(/[ |]/));
    return mistake === null ? [] : [`bureau ${line}: ${mistake}`];
  });
}

Deno.test("every command that a sentence names exists, with its flags", async () => {
  const mistakes: string[] = [];
  for await (const { page, text } of texts()) {
    // What was: it may have another name now.
    if (page === "CHANGELOG.md") continue;
    mistakes.push(...mistakesIn(text).map((mistake) => `${page}: ${mistake}`));
  }
  assert.deepEqual(mistakes, []);
  assert.equal(
    mistakesIn("`bureau agent list --json`, `bureau agent`, `sh tasks/bureau status`").length,
    0,
  );
  assert.equal(
    mistakesIn("`bureau agents`, `sh tasks/bureau agent list --jsno`, `bureau agent lst`").length,
    3,
  );
});

Deno.test("every task that the documentation names exists", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${ROOT}/deno.json`));
  for await (const { page, text } of texts()) {
    for (const [, name] of text.matchAll(/\bdeno task ([a-z:]+)/g)) {
      assert.ok(name! in tasks, `${page} names \`deno task ${name}\`, which deno.json lacks`);
    }
    for (const [, name] of text.matchAll(/\bsh tasks\/([a-z-]+)/g)) {
      assert.ok(
        await Deno.stat(`${ROOT}/tasks/${name}`).then((info) => info.isFile, () => false),
        `${page} names tasks/${name}, which is not there`,
      );
    }
  }
});

Deno.test("commandsOf() takes each line of an sh block, without its comment", () => {
  const page =
    '# T\n\n```sh\na "b # c"   # d\n\n# only a comment\nb#c\none \\\n  two\n```\n\n```json\n{}\n```\n';
  assert.deepEqual(commandsOf("T.md", page), [
    { page: "T.md", line: 4, text: 'a "b # c"' },
    { page: "T.md", line: 7, text: "b#c" },
    { page: "T.md", line: 9, text: "one two" },
  ]);
});

Deno.test("blocksOf() finds what is indented, and no list", () => {
  const found = blocksOf("T.md", "a\n\n    sh tasks/up\n    two\n\n- b\n    c\n\n```sh\nd\n```\n");
  assert.deepEqual(found.map(({ line, language, lines }) => [line, language, lines.length]), [
    [3, "", 2],
    [10, "sh", 1],
  ]);
});
