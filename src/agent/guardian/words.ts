// SPDX-License-Identifier: Apache-2.0

/**
 * A command line as the words that a shell would make of it, where that can be said without running anything. Whatever
 * a shell computes (variables, substitutions, globs, braces) is refused, not guessed at.
 */

export type Lexed =
  | { readonly commands: readonly (readonly string[])[] }
  | { readonly why: string };

const MAX_CHARS = 10_000;
// deno-lint-ignore no-control-regex -- a shell takes some of them for ends of words or of commands
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f]/;

const OPERATORS: Readonly<Record<string, string>> = {
  ";": "several commands",
  "&": "several commands, or one in the background",
  "<": "a redirection",
  ">": "a redirection",
  "(": "a subshell",
  ")": "a subshell",
  "{": "a group, or braces that are expanded",
  "}": "a group, or braces that are expanded",
  "*": "a pattern that may become a file's name",
  "?": "a pattern that may become a file's name",
  "[": "a pattern that may become a file's name",
  "]": "a pattern that may become a file's name",
  "#": "a comment",
  "!": "a history reference, or a negation",
  "\\": "an escaped character",
};

/** The commands of one pipeline, each as its words; or why it is not plain enough to say. */
export function lex(text: string): Lexed {
  if (text.length > MAX_CHARS) return { why: "it is too long" };
  if (CONTROL.test(text) || !text.isWellFormed()) return { why: "it holds control characters" };
  const commands: string[][] = [[]];
  let word: string | null = null;
  const end = () => {
    if (word !== null) commands.at(-1)!.push(word);
    word = null;
  };
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (char === " " || char === "\t") end();
    else if (char === "|") {
      end();
      commands.push([]);
    } else if (char === "'") {
      const close = text.indexOf("'", at + 1);
      if (close === -1) return { why: "a quote does not end" };
      word = (word ?? "") + text.slice(at + 1, close);
      at = close;
    } else if (char === '"') {
      const close = text.indexOf('"', at + 1);
      if (close === -1) return { why: "a quote does not end" };
      const inside = text.slice(at + 1, close);
      if (/[$`\\!]/.test(inside)) return { why: "the shell computes something in it" };
      word = (word ?? "") + inside;
      at = close;
    } else if (char === "$" || char === "`") {
      return { why: "the shell computes something in it" };
    } else if (char === "~" && /^$|[=:]$/.test(word ?? "")) {
      return { why: "it holds a home directory" };
    } else if (Object.hasOwn(OPERATORS, char)) return { why: `it holds ${OPERATORS[char]}` };
    // Other blanks are a word's own to the shell, and look like none to a person.
    else if (/\s/.test(char)) return { why: "it holds a blank that is none" };
    else word = (word ?? "") + char;
  }
  end();
  if (commands.some((words) => words.length === 0)) return { why: "a command is missing" };
  return { commands };
}
