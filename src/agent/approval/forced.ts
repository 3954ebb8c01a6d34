// SPDX-License-Identifier: Apache-2.0

/**
 * Commands that somebody is asked about whatever else is permitted. A list of usual accidents and of usual tricks, by
 * their words: whoever means to get around it can, and finds the sandbox.
 */

/** More is not looked through, and asked about. */
const MAX_CHARS = 10_000;
const WRAPPERS: ReadonlySet<string> = new Set(
  "env nice nohup time timeout ionice stdbuf setsid command builtin exec xargs".split(" "),
);
const ESCALATES: ReadonlySet<string> = new Set("sudo su doas pkexec runuser setpriv".split(" "));
const EVALUATES: ReadonlySet<string> = new Set("eval source . trap enable zmodload".split(" "));
const FETCHES: ReadonlySet<string> = new Set("curl wget fetch aria2c".split(" "));
const INTERPRETS = /^(?:.*\/)?(?:(?:ba|z|da|k|fi)?sh|python[\d.]*|perl|ruby|node|deno|bun|php)$/;
const REPLS = /^(?:.*\/)?(?:node|bun|deno)$/;
/** What nobody deletes on purpose, or writes over. */
const ROOTS =
  /^(?:\/|~|\.|\.\.|\*|\$HOME|\$\{HOME\}|\/\*|(?:~|\$HOME)\/\*?|\/(?:bin|boot|dev|etc|home|lib\d*|opt|proc|root|run|sbin|srv|sys|usr|var|workspace)(?:\/\*?)?)$/;
const SENSITIVE =
  /^(?:\/(?:etc|dev\/(?!null$|stdout$|stderr$|tty$|fd\/)|boot|proc|sys|usr|bin|sbin|lib)|~\/\.|\$HOME\/\.)|(?:^|\/)(?:\.ssh|\.git\/(?:hooks|config)|\.bashrc|\.profile|\.netrc|\.npmrc|authorized_keys)(?:\/|$)/;

interface Simple {
  readonly words: readonly string[];
  readonly redirects: readonly string[];
  /** It reads what the command before it writes. */
  readonly isPiped: boolean;
}

/** @returns why it is asked about; null: it need not be */
export function forcedReason(command: string, always: readonly string[] = []): string | null {
  if (always.some((pattern) => matches(pattern, command))) {
    return "it is one that is always asked about";
  }
  if (command.length > MAX_CHARS) return "it is too long to look through";
  if (/(?:^|[;&|\n(])\s*`/.test(command)) return "what it runs is computed";
  const simples = split(command);
  if (simples === null) return "a quote does not end";
  let fetched = false;
  for (const { words, redirects, isPiped } of simples) {
    const target = redirects.find((one) => SENSITIVE.test(one));
    if (target !== undefined) return `it writes to "${target.slice(0, 100)}"`;
    if (!isPiped) fetched = false;
    const [name = "", ...rest] = unwrapped(words);
    if (/^[$`]/.test(name)) return "what it runs is computed";
    if (ESCALATES.has(name)) return `"${name}" takes other rights`;
    if (EVALUATES.has(name)) return `"${name}" runs what is computed`;
    if (fetched && INTERPRETS.test(name)) return "it runs what it fetches";
    if (FETCHES.has(name)) fetched = true;
    if (
      REPLS.test(name) && rest.every((word) => word === "-i" || word === "repl" || word === "-")
    ) {
      return `"${name}" runs whatever it is told`;
    }
    if (/^mkfs/.test(name) || (name === "dd" && rest.some((word) => /^of=\/dev\//.test(word)))) {
      return "it writes to a device";
    }
    if (name === "rm" && deletesRoots(rest)) return "it deletes everything there is";
  }
  return null;
}

function deletesRoots(words: readonly string[]): boolean {
  const flags = words.filter((word) => word.startsWith("-"));
  const isDeep = flags.some((flag) => flag === "--recursive" || /^-[^-]*[rR]/.test(flag));
  const isForced = flags.some((flag) => flag === "--force" || /^-[^-]*f/.test(flag));
  const isAll = words.some((word) => !word.startsWith("-") && ROOTS.test(word));
  return isAll && isDeep && isForced || flags.includes("--no-preserve-root");
}

/** Without assignments and what only starts another command. */
function unwrapped(words: readonly string[]): readonly string[] {
  let at = 0;
  while (at < words.length) {
    const word = words[at]!;
    const isNext = at > 0 && (word.startsWith("-") || /^[\d.]+[smhd]?$/.test(word));
    if (!isNext && !/^\w+=/.test(word) && !WRAPPERS.has(word)) break;
    at++;
  }
  return words.slice(at);
}

/** Simple commands, roughly as a shell would have them; null where a quote does not end. */
function split(text: string): readonly Simple[] | null {
  const all: Simple[] = [];
  let words: string[] = [];
  let redirects: string[] = [];
  let isPiped = false;
  let word = "";
  let has = false;
  let target = false;
  const endWord = () => {
    if (!has) return;
    if (target) redirects.push(word);
    else words.push(word);
    [word, has, target] = ["", false, false];
  };
  const endCommand = (pipes: boolean) => {
    endWord();
    if (words.length > 0 || redirects.length > 0) all.push({ words, redirects, isPiped });
    [words, redirects, isPiped] = [[], [], pipes];
  };
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (char === "'" || char === '"') {
      const close = closing(text, at);
      if (close === -1) return null;
      word += text.slice(at + 1, close);
      has = true;
      at = close;
    } else if (char === "\\") {
      word += text[++at] ?? "";
      has = true;
    } else if (/\s/.test(char) && char !== "\n") endWord();
    else if (char === "|") endCommand(text[at + 1] !== "|" && text[at - 1] !== "|");
    else if (char === ">" || char === "<") {
      endWord();
      if (text[at + 1] === char || text[at + 1] === "&" || text[at + 1] === "|") at++;
      target = char === ">";
    } else if (";&\n(){}`".includes(char) && !(char === "{" && text[at - 1] === "$")) {
      endCommand(false);
    } else {
      word += char;
      has = true;
    }
  }
  endCommand(false);
  return all;
}

/** Of the quote at `start`; -1: it does not end. */
function closing(text: string, start: number): number {
  const quote = text[start]!;
  for (let at = start + 1; at < text.length; at++) {
    if (quote === '"' && text[at] === "\\") at++;
    else if (text[at] === quote) return at;
  }
  return -1;
}

/** `*` stands for any text. */
function matches(pattern: string, text: string): boolean {
  const [first = "", ...rest] = pattern.split("*");
  if (rest.length === 0) return text === first;
  if (!text.startsWith(first)) return false;
  let at = first.length;
  const last = rest.pop()!;
  for (const piece of rest) {
    const found = text.indexOf(piece, at);
    if (found === -1) return false;
    at = found + piece.length;
  }
  return text.length - last.length >= at && text.endsWith(last);
}
