// SPDX-License-Identifier: Apache-2.0

/**
 * Commands of git that read, in the forms in which the repository's own configuration runs no program that git could be
 * told not to run. What it can't be told (`core.fsmonitor`, clean filters) is the sandbox's to keep from doing harm.
 */

/** @returns why it is refused; null: it reads */
type Rule = (options: readonly string[]) => string | null;

/** git takes any beginning of a long option that is the only one. */
function longOf(option: string): string {
  return option.split("=", 1)[0]!;
}

/** Whether it is the option `name`, or might be taken for it. */
function couldBe(option: string, name: string): boolean {
  const long = longOf(option);
  return long.length > 2 && long !== "--text" && name.startsWith(long) || long.startsWith(name);
}

const REFUSED: Readonly<Record<string, string>> = {
  "--output": "it writes a file",
  "--ext-diff": "it runs a program of the repository's configuration",
  "--textconv": "it runs a program of the repository's configuration",
  "--filters": "it runs a program of the repository's configuration",
  "--show-signature": "it runs a program to verify signatures",
  "--remerge-diff": "it writes objects",
  "--submodule": "it runs git in other repositories",
  "--recurse-submodules": "it runs git in other repositories",
  "--help": "it opens a manual, by a program of the configuration's choice",
  "--dirty": "it refreshes the index",
  "--broken": "it refreshes the index",
  "--format": "a format can run a program",
  "--stdin": "it reads what the shell gives it",
};

const PRETTY = /^--pretty=(oneline|short|medium|full|fuller|reference|raw)$/;

function needs(options: readonly string[], ...wanted: readonly string[]): string | null {
  const missing = wanted.find((one) => !options.includes(one));
  return missing === undefined ? null : `it needs ${missing} before its operands`;
}

const diffs: Rule = (options) => needs(options, "--no-ext-diff", "--no-textconv");

const logs: Rule = (options) =>
  diffs(options) ?? needs(options, "--no-show-signature") ??
    (options.some((one) => one === "--oneline" || PRETTY.test(one))
      ? null
      : "it needs --oneline or a --pretty of git's own");

const SUBCOMMANDS: Readonly<Record<string, Rule>> = {
  diff: diffs,
  "diff-tree": diffs,
  blame: diffs,
  log: logs,
  show: logs,
  "rev-parse": () => null,
  "ls-files": () => null,
  describe: () => null,
  "cat-file": (options) =>
    options.every((one) => /^-[tsep]$/.test(one))
      ? null
      : "of cat-file only -t, -s, -e and -p read",
};

/** @param words without `git` itself */
export function gitReason(words: readonly string[]): string | null {
  const [name = "", ...rest] = words;
  if (name.startsWith("-")) return "options before the subcommand change what git does";
  const rule = Object.hasOwn(SUBCOMMANDS, name) ? SUBCOMMANDS[name]! : undefined;
  if (rule === undefined) return `"git ${name}" is not one that only reads`;
  const end = rest.indexOf("--");
  const before = end === -1 ? rest : rest.slice(0, end);
  for (const word of before) {
    if (PRETTY.test(word)) continue;
    if (couldBe(word, "--pretty")) return "a --pretty of the repository's own can run a program";
    for (const [option, why] of Object.entries(REFUSED)) {
      if (couldBe(word, option)) return `${longOf(word)}: ${why}`;
    }
  }
  return rule(before.filter((word) => word.startsWith("-")));
}
