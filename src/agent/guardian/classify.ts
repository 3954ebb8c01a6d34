// SPDX-License-Identifier: Apache-2.0

/**
 * Which shell commands of a reader's are let through: the second ring. It keeps honest models from mistakes and tells
 * them why. The wall is the sandbox (`ring.ts`): a program that only reads may be told by a file to do something else.
 */
import { gitReason } from "./git.ts";
import { lex } from "./words.ts";

/** @param words without the command's own. @returns why it is refused; null: it only reads */
type Rule = (words: readonly string[]) => string | null;

const plain: Rule = () => null;

/** @param short letters that are refused in any cluster */
function without(
  { exact = [], begin = [], short = "" }: {
    readonly exact?: readonly string[];
    readonly begin?: readonly string[];
    readonly short?: string;
  },
): Rule {
  return (words) => {
    for (const word of words) {
      const isRefused = exact.includes(word) || begin.some((one) => word.startsWith(one)) ||
        (/^-[^-]/.test(word) && [...short].some((letter) => word.includes(letter)));
      if (isRefused) return `"${word}" does more than read`;
    }
    return null;
  };
}

const COMMANDS: Readonly<Record<string, Rule>> = {
  ...Object.fromEntries(
    "ls cat head wc grep stat pwd echo true cut nl column du df basename dirname realpath readlink which type uname"
      .split(" ").map((name) => [name, plain]),
  ),
  // What never ends is the time limit's; following has no other use.
  tail: without({ begin: ["--f", "--retry", "--pid"], short: "fF" }),
  find: without({
    exact: ["-exec", "-execdir", "-ok", "-okdir", "-delete", "-fls"],
    begin: ["-fprint"],
  }),
  // `--e`, `--ex` … would be taken for it by a parser that abbreviates.
  fd: (words) =>
    words.some((word) => word !== "-" && "--exec".startsWith(word) && word.length > 2)
      ? "it may run a program for each file"
      : without({ begin: ["--exec", "--list"], short: "xXl" })(words),
  rg: without({ begin: ["--pre", "--hostname-bin", "--search-zip"], short: "z" }),
  file: without({ begin: ["--c", "--p", "--u"], short: "CpzZ" }),
  // Pagination runs `pr`.
  diff: without({ begin: ["--pa"], short: "l" }),
  hostname: (words) => words.length === 0 ? null : "with an argument it may set the name",
  git: gitReason,
};

export interface Classified {
  readonly allowed: boolean;
  /** Of a refusal, for the model. */
  readonly why: string;
}

/** Whether a command only reads, as far as its words say. */
export function classify(command: string): Classified {
  const why = reason(command);
  return { allowed: why === null, why: why ?? "it only reads" };
}

function reason(command: string): string | null {
  const lexed = lex(command);
  if ("why" in lexed) return lexed.why;
  for (const [name = "", ...words] of lexed.commands) {
    const rule = Object.hasOwn(COMMANDS, name) ? COMMANDS[name]! : undefined;
    if (rule === undefined) {
      return `"${name.slice(0, 100)}" is not one of the commands that only read`;
    }
    const refused = rule(words);
    if (refused !== null) return `${name}: ${refused}`;
  }
  return null;
}
