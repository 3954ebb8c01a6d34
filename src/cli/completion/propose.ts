// SPDX-License-Identifier: Apache-2.0

/**
 * `complete`: what a shell asks for at each Tab. A line for each word that is possible, with a tab and what it is; a
 * line that begins with a tab has the shell complete files. Says nothing of what fails: a person who presses Tab
 * asked no question, and whatever they type then is answered by the command itself.
 */
import { neutraliseLine } from "../../lib/terminal/mod.ts";
import { groups } from "../commands.ts";
import { splitGlobals } from "../framework/app.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { complete, type Proposal, starting } from "../framework/complete.ts";
import { namesOf } from "./names.ts";
import { splitLine } from "./words.ts";

const MAX_BRIEF = 70;

export const propose: CommandHandler = async (call) => {
  const { line, words: given } = call.flags;
  const [, ...words] = typeof line === "string"
    ? splitLine(line)
    : String(given ?? "").replace(/\n$/, "").split("\n");
  const { proposals, names } = complete(groups, call.commands, words);
  const found = [...proposals];
  if (names !== null && names.of !== "file") {
    const { of, before, begun } = names;
    const known = await namesOf(directoriesOf(call, words), of, begun).catch(() => []);
    const fitting = starting(known, begun);
    found.push(...fitting.map(({ word, brief }) => ({ word: before + word, brief })));
  }
  const dropped = brokenOff(words.at(-1) ?? "", String(call.flags["breaks"] ?? ""));
  for (const { word, brief } of found.filter(isPlain)) {
    // zsh and fish quote what they put in; for bash a comment would begin here.
    const escaped = dropped === 0 && typeof line === "string" ? word.replace(/^#/, "\\#") : word;
    call.emit(`${escaped.slice(dropped)}\t${shortOf(brief)}`);
  }
  if (names?.of === "file") call.emit("\tfiles");
};

/** The line that is being written may name another Bureau. */
function directoriesOf(call: Invocation, words: readonly string[]): Invocation {
  try {
    const { stateDir = call.stateDir, runDir = call.runDir } = splitGlobals(words);
    return { ...call, stateDir, runDir };
  } catch {
    return call;
  }
}

/** How much of a word bash takes for words of their own, which it will not replace. */
const brokenOff = (begun: string, breaks: string): number =>
  [...begun].findLastIndex((unit) => breaks.includes(unit)) + 1;

/** Nothing that a shell would read as more than a word. */
const isPlain = ({ word }: Proposal): boolean => /^[\p{L}\p{N}@#%+,./:=_-]+$/u.test(word);

function shortOf(brief: string): string {
  const shown = neutraliseLine(brief).replaceAll("\t", " ");
  return shown.length > MAX_BRIEF ? `${shown.slice(0, MAX_BRIEF - 1)}…` : shown;
}
