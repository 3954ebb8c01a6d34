// SPDX-License-Identifier: Apache-2.0

/** What may stand at the end of a command line, from the declarations alone. */
import type { Group } from "./app.ts";
import type { ArgumentSpec, CommandSpec, FlagSpec, Named } from "./command.ts";

export interface Proposal {
  /** The whole word. */
  readonly word: string;
  readonly brief: string;
}

export interface Completion {
  readonly proposals: readonly Proposal[];
  /** What else it may be, which somebody else has to look up; with what stands before the name in its word. */
  readonly names: { readonly of: Named; readonly before: string; readonly begun: string } | null;
}

const NOTHING: Completion = { proposals: [], names: null };

/** Taken out before a command's own flags are read, so they may stand anywhere. */
const GLOBALS: Readonly<Record<string, FlagSpec>> = {
  json: { kind: "switch", brief: "one JSON document, for programs" },
  "state-dir": { kind: "text", brief: "another Bureau's state", placeholder: "DIR" },
  "run-dir": { kind: "text", brief: "another Bureau's sockets", placeholder: "DIR" },
  help: { kind: "switch", brief: "what it is for, and what it takes" },
};

/** What the name of an argument, or the placeholder of a flag, says by itself. */
const BY_PLACEHOLDER: Readonly<Record<string, Named>> = {
  DIR: "file",
  FILE: "file",
  MACHINE: "machine",
  PATH: "file",
  "PATH[:DEST]": "file",
  ROOM: "room",
  "ROOM:NAME": "template",
  TEMPLATE: "template",
};

/**
 * @param words all after `bureau`, up to the cursor; the last is the one that is being written, maybe empty
 */
export function complete(
  groups: readonly Group[],
  commands: readonly CommandSpec[],
  words: readonly string[],
): Completion {
  const begun = words.at(-1) ?? "";
  const { path, rest, open } = read(groups, commands, words.slice(0, -1));
  if (open !== null) return value(open, "", begun);
  const command = path.length === 0
    ? undefined
    : commands.find((spec) => spec.path.join(" ") === path.join(" "));
  const next = rest.positional.length > 0 ? [] : wordsAfter(groups, commands, path);
  if (rest.isLiteral) return { proposals: [], names: named("file", "", begun) };
  const flags = { ...aloneOf(groups, commands, path)?.flags, ...command?.flags, ...GLOBALS };
  if (begun.startsWith("-")) return flag(flags, rest.flags, begun);
  if (next.length > 0) return { proposals: starting(next, begun), names: null };
  if (command === undefined) return NOTHING;
  const { args = [], variadic = false } = command;
  const at = rest.positional.length;
  const argument = args[at] ?? (variadic ? args.at(-1) : undefined);
  return argument === undefined ? NOTHING : value(argument, "", begun);
}

interface Read {
  /** Of a command, or as far as it is known. */
  readonly path: readonly string[];
  readonly rest: {
    readonly positional: readonly string[];
    readonly flags: ReadonlySet<string>;
    /** Behind `--`. */
    readonly isLiteral: boolean;
  };
  /** The flag whose value comes now. */
  readonly open: FlagSpec | null;
}

function read(
  groups: readonly Group[],
  commands: readonly CommandSpec[],
  words: readonly string[],
): Read {
  const path: string[] = [];
  const positional: string[] = [];
  const flags = new Set<string>();
  let open: FlagSpec | null = null;
  for (const [at, word] of words.entries()) {
    if (open !== null) {
      open = null;
    } else if (word === "--") {
      positional.push(...words.slice(at + 1));
      return { path, rest: { positional, flags, isLiteral: true }, open };
    } else if (word.startsWith("--")) {
      const [name = "", ...given] = word.slice(2).split("=");
      flags.add(name);
      const command = commands.find((spec) => spec.path.join(" ") === path.join(" "));
      const spec: FlagSpec | undefined = command?.flags?.[name] ??
        aloneOf(groups, commands, path)?.flags?.[name] ?? GLOBALS[name];
      if (spec !== undefined && spec.kind !== "switch" && given.length === 0) open = spec;
    } else if (
      positional.length === 0 &&
      wordsAfter(groups, commands, path).some((next) => next.word === word)
    ) path.push(word);
    else positional.push(word);
  }
  return { path, rest: { positional, flags, isLiteral: false }, open };
}

/** The command that a group's name alone means. */
function aloneOf(
  groups: readonly Group[],
  commands: readonly CommandSpec[],
  path: readonly string[],
): CommandSpec | undefined {
  const [group, part = ""] = path;
  const alone = groups.find(({ name }) => name === group)?.alone?.[part];
  return alone === undefined
    ? undefined
    : commands.find((spec) => spec.path.join(" ") === [...path, alone].join(" "));
}

/** The words that may follow `path`. */
function wordsAfter(
  groups: readonly Group[],
  commands: readonly CommandSpec[],
  path: readonly string[],
): Proposal[] {
  const found = new Map<string, string>();
  for (const spec of commands) {
    if (spec.hidden || spec.path.length <= path.length) continue;
    if (!path.every((word, at) => spec.path[at] === word)) continue;
    const word = spec.path[path.length]!;
    const isWhole = spec.path.length === path.length + 1;
    const group = groups.find(({ name }) => name === (path[0] ?? word));
    const brief = path.length === 0 ? group?.brief : group?.parts?.[word];
    found.set(word, isWhole ? spec.brief : brief ?? "");
  }
  return [...found].map(([word, brief]) => ({ word, brief }));
}

function flag(
  flags: Readonly<Record<string, FlagSpec>>,
  given: ReadonlySet<string>,
  begun: string,
): Completion {
  const [name = "", ...rest] = begun.slice(2).split("=");
  const spec = flags[name];
  if (rest.length > 0) {
    return spec === undefined || spec.kind === "switch"
      ? NOTHING
      : value(spec, `--${name}=`, rest.join("="));
  }
  const open = Object.entries(flags)
    .filter(([name, { kind }]) => kind === "texts" || !given.has(name))
    .map(([name, { brief }]) => ({ word: `--${name}`, brief }));
  return { proposals: starting(open, begun), names: null };
}

function value(spec: ArgumentSpec | FlagSpec, before: string, begun: string): Completion {
  const words = "oneOf" in spec ? spec.oneOf ?? [] : [];
  const proposals = words.map((word) => ({ word, brief: "" }));
  const of = namedBy(spec);
  return {
    proposals: starting(proposals, begun),
    names: of === undefined ? null : named(of, before, begun),
  };
}

/** What it names, as far as that is known. */
export function namedBy(spec: ArgumentSpec | FlagSpec): Named | undefined {
  return spec.names ?? BY_PLACEHOLDER["name" in spec ? spec.name : spec.placeholder ?? ""];
}

const named = (of: Named, before: string, begun: string) => ({ of, before, begun });

export const starting = (proposals: readonly Proposal[], begun: string): Proposal[] =>
  proposals.filter(({ word }) => word.startsWith(begun));
