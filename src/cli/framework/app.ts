// SPDX-License-Identifier: Apache-2.0

/** Runs declared commands on @stricli/core: parsing, help, did-you-mean, errors, exit statuses. */
import {
  buildApplication,
  buildCommand,
  buildRouteMap,
  type Command,
  type CommandContext as StricliContext,
  help,
  numberParser,
  type RouteMap,
  run,
  text_en,
} from "@stricli/core";
import { messageOf } from "../../lib/errors.ts";
import { safeJson } from "../../lib/terminal/mod.ts";
import type { CommandContext, CommandSpec, FlagSpec, FlagValue, Invocation } from "./command.ts";
import { asCalled } from "./called.ts";
import { perform } from "./destroy.ts";
import { nearer } from "./nearer.ts";
import { CliError, Ended, Exit } from "./exit.ts";
import { Waiting } from "./progress.ts";
import { fail, write } from "./say.ts";
import { lookAtScreen } from "./screen.ts";

type Flags = Readonly<Record<string, FlagValue>>;

export interface Group {
  readonly name: string;
  readonly brief: string;
  /** Of commands with three words: the second word, and what its commands are about. */
  readonly parts?: Readonly<Record<string, string>>;
  /** Of a part, or of the group itself (""): the command that its name alone means. */
  readonly alone?: Readonly<Record<string, string>>;
}

interface Globals {
  readonly json: boolean;
  readonly stateDir: string | undefined;
  readonly runDir: string | undefined;
  readonly sessionFile: string | undefined;
  readonly rest: readonly string[];
}

/** Takes the global flags out, so that they may stand before a command's name as well as behind it. */
export function splitGlobals(args: readonly string[]): Globals {
  const rest: string[] = [];
  const values: Record<string, string> = {};
  let json = false;
  for (let at = 0; at < args.length; at++) {
    const argument = args[at]!;
    if (argument === "--") {
      rest.push(...args.slice(at));
      break;
    }
    const match = /^--(state-dir|run-dir|session-file)(?:=(.*))?$/s.exec(argument);
    if (match !== null) {
      const value = match[2] ?? args[++at];
      if (value === undefined) throw new CliError("usage", `Cannot run: ${argument} needs a value`);
      values[match[1]!] = value;
    } else if (argument === "--json") json = true;
    else rest.push(argument);
  }
  return {
    json,
    stateDir: values["state-dir"],
    runDir: values["run-dir"],
    sessionFile: values["session-file"],
    rest,
  };
}

/** @returns the exit status */
export async function runCli(
  groups: readonly Group[],
  commands: readonly CommandSpec[],
  args: readonly string[],
): Promise<number> {
  let json = args.includes("--json");
  const state: Outcome = { exit: Exit.ok, usage: null };
  try {
    const globals = splitGlobals(args);
    json = globals.json;
    const context = makeContext(globals, commands);
    const inputs = globals.rest.length === 0 ? ["--help"] : globals.rest;
    const formatting = {
      useAliasInUsageLine: false,
      onlyRequiredInUsageLine: false,
      caseStyle: "original",
    } as const;
    const app = buildApplication(rootMap(groups, commands, context, state), {
      name: "bureau",
      scanner: { caseStyle: "original", allowArgumentEscapeSequence: true },
      localization: { text: usageText(state, knownPath(commands, globals.rest)) },
    }, { help: help({ alias: "h", brief: "Print help", formatting }) });
    const process = {
      stdout: { write: (text: string) => write(Deno.stdout, asCalled(text)) },
      // What stricli says of a mistake is said by `fail`, in the form of every other error.
      stderr: { write: (text: string) => state.usage === null && write(Deno.stderr, text) },
      exitCode: undefined as number | string | null | undefined,
      env: {},
    };
    await run(app, inputs, { process } as never);
    if (state.usage !== null) throw state.usage;
    if (state.exit !== Exit.ok) return state.exit;
    return Number(process.exitCode ?? 0) === 0 ? Exit.ok : Exit.failed;
  } catch (thrown) {
    return fail(thrown, json);
  }
}

/** What a session of `login` adds to an error; loaded where there is one. */
async function explained(thrown: unknown, call: CommandContext | null): Promise<unknown> {
  if (call?.sessionFile === undefined) return thrown;
  return await (await import("../login/ended.ts")).afterLogin(thrown, call);
}

interface Outcome {
  exit: number;
  /** A mistake in the command line, as found by stricli. */
  usage: CliError | null;
}

/** The words of `inputs` that name a command or a group. */
function knownPath(commands: readonly CommandSpec[], inputs: readonly string[]): readonly string[] {
  const known = commands.find(({ path }) => path.every((word, at) => inputs[at] === word))?.path;
  return known ?? commands.find(({ path }) => path[0] === inputs[0])?.path.slice(0, 1) ?? [];
}

/** Stricli's texts, with its errors turned into ours. */
function usageText(state: Outcome, path: readonly string[]): typeof text_en {
  const keep = (message: string, corrections: readonly string[] = []): string => {
    state.usage = new CliError("usage", message, {
      hint: corrections.length > 0
        ? `did you mean ${corrections.map((name) => name.replaceAll("`", "")).join(" or ")}?`
        : `see \`bureau ${[...path, "--help"].join(" ")}\``,
    });
    return "";
  };
  return {
    ...text_en,
    noCommandRegisteredForInput: ({ input, corrections }) =>
      keep(`Cannot run "${input}": there is no such command`, corrections),
    exceptionWhileParsingArguments: (thrown) => {
      const names = (thrown as { corrections?: readonly string[] }).corrections ?? [];
      const corrections = names.map((name) => name.startsWith("-") ? name : `--${name}`);
      return keep(
        `Cannot run: ${messageOf(thrown).replace(/, did you mean .*$/s, "")}`,
        corrections,
      );
    },
  };
}

function makeContext(
  globals: Globals,
  commands: readonly CommandSpec[],
): () => CommandContext {
  const required = (name: string, value: string | undefined): string => {
    if (value !== undefined && value.startsWith("/")) return value;
    throw new CliError("usage", `Cannot run: --${name} must be given as an absolute path`, {
      hint: "run `sh tasks/bureau`, which knows the directories",
    });
  };
  return () => {
    const stop = new AbortController();
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      Deno.addSignalListener(signal, () => {
        // Asked again: whatever it is that does not end.
        if (stop.signal.aborted) Deno.exit(Exit.interrupted);
        stop.abort(new CliError("interrupted", "Interrupted"));
      });
    }
    const waiting = new Waiting();
    const emit = (line: string) => {
      waiting.clear();
      write(Deno.stdout, line + "\n");
    };
    return {
      stateDir: required("state-dir", globals.stateDir),
      runDir: required("run-dir", globals.runDir),
      ...(globals.sessionFile === undefined
        ? {}
        : { sessionFile: required("session-file", globals.sessionFile) }),
      json: globals.json,
      print: (line) => globals.json ? undefined : emit(line),
      emit,
      progress: (text) => waiting.start(text, !globals.json),
      input: async () => new Uint8Array(await new Response(Deno.stdin.readable).arrayBuffer()),
      commands,
      signal: stop.signal,
    };
  };
}

function rootMap(
  groups: readonly Group[],
  commands: readonly CommandSpec[],
  context: () => CommandContext,
  state: Outcome,
): RouteMap<StricliContext> {
  const routes: Record<string, Command<StricliContext> | RouteMap<StricliContext>> = {};
  const hidden: Record<string, true> = {};
  for (const spec of commands.filter((spec) => spec.path.length === 1)) {
    const name = spec.path[0]!;
    routes[name] = toStricli(spec, context, state);
    if (spec.hidden) hidden[name] = true;
  }
  for (const group of groups) {
    const members = commands.filter((spec) =>
      spec.path.length === 2 && spec.path[0] === group.name
    );
    const alone = (name: string) => {
      const command = group.alone?.[name];
      return command === undefined ? {} : { defaultCommand: command };
    };
    const parts = Object.entries(group.parts ?? {}).map(([part, brief]) => {
      const inner = commands.filter(({ path }) =>
        path.length === 3 && path[0] === group.name && path[1] === part
      );
      const routes = inner.map((spec) => [spec.path[2]!, toStricli(spec, context, state)]);
      return [
        part,
        buildRouteMap({ routes: Object.fromEntries(routes), docs: { brief }, ...alone(part) }),
      ];
    });
    routes[group.name] = buildRouteMap({
      routes: Object.fromEntries([
        ...members.map((spec) => [spec.path[1]!, toStricli(spec, context, state)]),
        ...parts,
      ]),
      docs: { brief: group.brief },
      ...alone(""),
    });
  }
  return buildRouteMap({
    routes,
    docs: {
      brief: "Bureau: a workshop of sandboxed agents",
      hideRoute: hidden as never,
    },
  });
}

function toStricli(
  spec: CommandSpec,
  context: () => CommandContext,
  state: Outcome,
): Command<StricliContext> {
  const func = async function (flags: Flags, ...args: string[]): Promise<void> {
    let json = false;
    let call: Invocation | null = null;
    try {
      call = { ...context(), args: args.filter((argument) => argument !== undefined), flags };
      json = call.json;
      lookAtScreen();
      const answer = await perform(spec, call);
      const result = answer instanceof Ended ? answer.result : answer;
      if (answer instanceof Ended) state.exit = answer.exit;
      if (json && result !== undefined) write(Deno.stdout, safeJson(result) + "\n");
    } catch (thrown) {
      const said = call === null ? thrown : await nearer(thrown, spec, call);
      state.exit = fail(await explained(said, call), json);
    }
  };
  const parameters = {
    flags: Object.fromEntries(
      Object.entries(spec.flags ?? {}).map(([name, flag]) => [name, flagParameter(flag)]),
    ),
    positional: positionals(spec),
  };
  // The declaration is data, so stricli's types, which follow a literal's shape, cannot see it.
  return buildCommand({
    func,
    parameters,
    docs: {
      brief: spec.brief,
      fullDescription: fullDescription(spec),
    },
  } as never);
}

/** `--json` and the directories are taken out before stricli sees them, so they are described here. */
function fullDescription(spec: CommandSpec): string {
  const examples = spec.examples ?? [];
  return [
    spec.brief,
    ...(spec.docs === undefined ? [] : [spec.docs]),
    ...(examples.length === 0 ? [] : [["Examples:", ...examples.map((e) => `  ${e}`)].join("\n")]),
    "Everywhere: --json prints one JSON document for programs; --state-dir and --run-dir name another Bureau.",
  ].join("\n\n");
}

function flagParameter(flag: FlagSpec): unknown {
  const common = {
    brief: flag.brief,
    ...(flag.placeholder === undefined ? {} : { placeholder: flag.placeholder }),
  };
  switch (flag.kind) {
    case "switch":
      return { ...common, kind: "boolean", default: false, withNegated: false };
    case "number":
      return {
        ...common,
        kind: "parsed",
        parse: numberParser,
        ...(flag.default === undefined ? { optional: true } : { default: flag.default }),
      };
    case "text":
      return {
        ...common,
        kind: "parsed",
        parse: String,
        ...(flag.default === undefined ? { optional: true } : { default: flag.default }),
      };
    case "texts":
      return { ...common, kind: "parsed", parse: String, variadic: true, optional: true };
  }
}

function positionals(spec: CommandSpec): unknown {
  const parameters = (spec.args ?? []).map((argument) => ({
    brief: argument.brief,
    parse: String,
    placeholder: argument.name,
    ...(argument.optional ? { optional: true } : {}),
  }));
  if (spec.variadic !== true) return { kind: "tuple", parameters };
  // One kind of parameter for all, as stricli has it: the usage line names each.
  const args = spec.args ?? [];
  const parameter = {
    brief: args.map(({ name, brief }) => args.length === 1 ? brief : `${name}: ${brief}`).join(
      "; ",
    ),
    parse: String,
    placeholder: args.map(({ name }) => name).join(" "),
  };
  return { kind: "array", parameter, minimum: args.filter(({ optional }) => !optional).length };
}
