// SPDX-License-Identifier: Apache-2.0

/** Commands as tools: the same declaration, the same handler, other arguments and another output. */
import { BureauError } from "../../lib/errors.ts";
import type { InputSchema, JsonObject, Progress, PropertySchema, Tool } from "../../mcp/tool.ts";
import type { CommandSpec, FlagSpec, FlagValue, ToolMark } from "../framework/command.ts";
import { perform } from "../framework/destroy.ts";
import { Ended } from "../framework/exit.ts";

export interface Place {
  readonly stateDir: string;
  readonly runDir: string;
}

/** Lines of a command that says nothing else. */
const MAX_LINES = 5_000;

const markOf = ({ tool }: CommandSpec): ToolMark | null =>
  tool !== undefined && "effect" in tool ? tool : null;

/** @param outputs what commands give, by their words */
export function commandTools(
  commands: readonly CommandSpec[],
  place: Place,
  outputs: ReadonlyMap<string, JsonObject> = new Map(),
): Tool[] {
  return commands.flatMap((spec) => {
    const mark = markOf(spec);
    if (mark === null || spec.hidden) return [];
    return [toolOf(spec, mark, place, outputs.get(spec.path.join(" ")))];
  });
}

function toolOf(
  spec: CommandSpec,
  mark: ToolMark,
  place: Place,
  outputSchema: JsonObject | undefined,
): Tool {
  return {
    name: `bureau_${spec.path.join("_")}`,
    title: `bureau ${spec.path.join(" ")}`,
    description: [`${spec.brief}.`, ...(spec.docs === undefined ? [] : [spec.docs])].join(" "),
    category: spec.path.length === 1 ? "bureau" : spec.path[0]!,
    inputSchema: inputOf(spec, mark),
    ...(outputSchema === undefined ? {} : { outputSchema }),
    effect: mark.effect,
    idempotent: mark.idempotent === true,
    openWorld: mark.openWorld === true,
    actions: [`command/${spec.path.join("/")}`],
    call: (args, progress) => runCommand(spec, mark, place, args, progress),
  };
}

/** Flags of the command line that a tool has another way for. */
const isLeftOut = (name: string, mark: ToolMark) =>
  name === "yes" || name === mark.text?.of || mark.without?.includes(name) === true;

/** `NAME` is how people read it in a usage line. */
export const parameterName = (argument: string): string => argument.toLowerCase();

function inputOf(spec: CommandSpec, mark: ToolMark): InputSchema {
  const properties: Record<string, PropertySchema> = {};
  const required: string[] = [];
  const last = spec.args?.at(-1);
  for (const argument of spec.args ?? []) {
    if (argument.name === mark.text?.of) continue;
    const name = parameterName(argument.name);
    properties[name] = spec.variadic === true && argument === last
      ? { type: "array", items: { type: "string" }, description: argument.brief }
      : { type: "string", description: argument.brief };
    if (argument.optional !== true) required.push(name);
  }
  for (const [name, flag] of Object.entries(spec.flags ?? {})) {
    if (!isLeftOut(name, mark)) properties[name] = propertyOf(flag);
  }
  if (mark.text !== undefined) {
    properties["input"] = { type: "string", description: mark.text.brief };
    if (spec.args?.some(({ name }) => name === mark.text!.of)) required.push("input");
  }
  return { type: "object", properties, required, additionalProperties: false };
}

function propertyOf(flag: FlagSpec): PropertySchema {
  const { brief: description, default: fallback } = flag;
  switch (flag.kind) {
    case "text":
      return {
        type: "string",
        description,
        ...(fallback === undefined ? {} : { default: fallback }),
      };
    case "number":
      return {
        type: "number",
        description,
        ...(fallback === undefined ? {} : { default: Number(fallback) }),
      };
    case "switch":
      return { type: "boolean", description, default: false };
    case "texts":
      return { type: "array", items: { type: "string" }, description };
  }
}

/** In this process: a command touches nothing that another one that runs at the same time has. */
async function runCommand(
  spec: CommandSpec,
  mark: ToolMark,
  place: Place,
  args: JsonObject,
  progress: Progress,
): Promise<unknown> {
  const lines: string[] = [];
  const say = (text: string) => {
    for (const line of text.split("\n")) {
      progress.line(line);
      if (lines.length < MAX_LINES) lines.push(line);
    }
  };
  const text = args["input"] as string | undefined;
  const answer = await perform(spec, {
    ...place,
    commands: [],
    json: true,
    print: say,
    emit: say,
    input: () => Promise.resolve(new TextEncoder().encode(text ?? "")),
    signal: progress.signal,
    args: argumentsOf(spec, mark, args),
    flags: flagsOf(spec, mark, args),
  });
  progress.signal.throwIfAborted();
  const isEnded = answer instanceof Ended;
  const result = isEnded ? answer.result : answer;
  if (!isEnded) return result ?? { lines };
  // Nothing failed, yet not all is well: said beside what the command says itself.
  return typeof result === "object" && result !== null && !Array.isArray(result)
    ? { ...result, exit_status: answer.exit }
    : { result, exit_status: answer.exit };
}

function argumentsOf(spec: CommandSpec, mark: ToolMark, args: JsonObject): string[] {
  const given: string[] = [];
  for (const argument of spec.args ?? []) {
    const value = argument.name === mark.text?.of ? "-" : args[parameterName(argument.name)];
    // Nothing can stand behind an argument that is left out.
    if (value === undefined) break;
    if (Array.isArray(value)) given.push(...value as string[]);
    else given.push(value as string);
  }
  if (spec.variadic === true && spec.args?.at(-1)?.optional !== true) {
    if (given.length < (spec.args?.length ?? 0)) {
      const name = parameterName(spec.args!.at(-1)!.name);
      throw new BureauError("usage", `Cannot run: "${name}" is empty`, { status: 400 });
    }
  }
  return given;
}

function flagsOf(
  spec: CommandSpec,
  mark: ToolMark,
  args: JsonObject,
): Record<string, FlagValue> {
  const flags: Record<string, FlagValue> = {};
  for (const [name, flag] of Object.entries(spec.flags ?? {})) {
    const given = isLeftOut(name, mark) ? undefined : args[name];
    flags[name] = given === undefined ? defaultOf(flag) : given as FlagValue;
  }
  // The caller has said it already, or the call would not have come here.
  if (spec.flags?.["yes"] !== undefined) flags["yes"] = true;
  if (mark.text !== undefined && args["input"] !== undefined) {
    if (spec.flags?.[mark.text.of] !== undefined) flags[mark.text.of] = "-";
  }
  return flags;
}

/** As the parser of the command line has them. */
function defaultOf(flag: FlagSpec): FlagValue {
  if (flag.kind === "switch") return false;
  if (flag.default === undefined) return undefined;
  return flag.kind === "number" ? Number(flag.default) : flag.default;
}
