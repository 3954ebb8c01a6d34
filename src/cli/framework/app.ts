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
} from "@stricli/core";
import { BureauError, messageOf } from "../../lib/errors.ts";
import type { CommandContext, CommandSpec, FlagSpec, FlagValue } from "./command.ts";
import { CliError, errorBody, Exit, exitCodeOf } from "./exit.ts";

type Flags = Readonly<Record<string, FlagValue>>;

/** Flags of every command, wherever they stand; `tasks/bureau` always gives the directories. */
const GLOBAL = {
  json: { kind: "switch", brief: "Print one JSON document for programs" },
  "state-dir": { kind: "text", brief: "Where state lives", placeholder: "DIR" },
  "run-dir": { kind: "text", brief: "Where sockets live", placeholder: "DIR" },
} as const satisfies Record<string, FlagSpec>;

export interface Group {
  readonly name: string;
  readonly brief: string;
}

interface Globals {
  readonly json: boolean;
  readonly stateDir: string | undefined;
  readonly runDir: string | undefined;
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
    const match = /^--(state-dir|run-dir)(?:=(.*))?$/s.exec(argument);
    if (match !== null) {
      const value = match[2] ?? args[++at];
      if (value === undefined) throw new CliError("usage", `Cannot run: ${argument} needs a value`);
      values[match[1]!] = value;
    } else if (argument === "--json") json = true;
    else rest.push(argument);
  }
  return { json, stateDir: values["state-dir"], runDir: values["run-dir"], rest };
}

/** @returns the exit status */
export async function runCli(
  groups: readonly Group[],
  commands: readonly CommandSpec[],
  args: readonly string[],
): Promise<number> {
  let json = args.includes("--json");
  const state = { exit: Exit.ok as number };
  try {
    const globals = splitGlobals(args);
    json = globals.json;
    const context = makeContext(globals);
    const inputs = globals.rest.length === 0 ? ["--help"] : globals.rest;
    const formatting = {
      useAliasInUsageLine: false,
      onlyRequiredInUsageLine: false,
      caseStyle: "original",
    } as const;
    const app = buildApplication(rootMap(groups, commands, context, state), {
      name: "bureau",
      scanner: { caseStyle: "original", allowArgumentEscapeSequence: true },
    }, { help: help({ alias: "h", brief: "Print help", formatting }) });
    const process = {
      stdout: { write: (text: string) => write(Deno.stdout, text) },
      stderr: { write: (text: string) => write(Deno.stderr, text) },
      exitCode: undefined as number | string | null | undefined,
      env: {},
    };
    await run(app, inputs, { process } as never);
    const scanned = Number(process.exitCode ?? 0);
    return state.exit !== Exit.ok ? state.exit : scanned === 0 ? Exit.ok : Exit.usage;
  } catch (thrown) {
    return fail(thrown, json);
  }
}

function fail(thrown: unknown, json: boolean): number {
  if (json) console.log(JSON.stringify(errorBody(thrown)));
  else {
    console.error(`error: ${messageOf(thrown)}`);
    if (thrown instanceof BureauError && thrown.hint !== undefined) {
      console.error(`hint: ${thrown.hint}`);
    }
  }
  return exitCodeOf(thrown);
}

function write(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  let bytes = new TextEncoder().encode(text);
  while (bytes.length > 0) bytes = bytes.subarray(stream.writeSync(bytes));
}

function makeContext(globals: Globals): () => CommandContext {
  const required = (name: string, value: string | undefined): string => {
    if (value !== undefined && value.startsWith("/")) return value;
    throw new CliError("usage", `Cannot run: --${name} must be given as an absolute path`, {
      hint: "run `sh tasks/bureau`, which knows the directories",
    });
  };
  return () => {
    const stop = new AbortController();
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      Deno.addSignalListener(signal, () => stop.abort(new CliError("interrupted", "Interrupted")));
    }
    return {
      stateDir: required("state-dir", globals.stateDir),
      runDir: required("run-dir", globals.runDir),
      json: globals.json,
      print: (line) => globals.json ? undefined : write(Deno.stdout, line + "\n"),
      emit: (line) => write(Deno.stdout, line + "\n"),
      signal: stop.signal,
    };
  };
}

function rootMap(
  groups: readonly Group[],
  commands: readonly CommandSpec[],
  context: () => CommandContext,
  state: { exit: number },
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
    routes[group.name] = buildRouteMap({
      routes: Object.fromEntries(
        members.map((spec) => [spec.path[1]!, toStricli(spec, context, state)]),
      ),
      docs: { brief: group.brief },
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
  state: { exit: number },
): Command<StricliContext> {
  const func = async function (flags: Flags, ...args: string[]): Promise<void> {
    let json = false;
    try {
      const call = context();
      json = call.json;
      const handler = await spec.load();
      const result = await handler({
        ...call,
        args: args.filter((argument) => argument !== undefined),
        flags,
      });
      if (json && result !== undefined) console.log(JSON.stringify(result));
    } catch (thrown) {
      state.exit = fail(thrown, json);
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
      ...(spec.docs === undefined ? {} : { fullDescription: `${spec.brief}\n\n${spec.docs}` }),
    },
  } as never);
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
  return spec.variadic && parameters.length === 1
    ? { kind: "array", parameter: parameters[0], minimum: spec.args![0]!.optional ? 0 : 1 }
    : { kind: "tuple", parameters };
}
