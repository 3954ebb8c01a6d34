// SPDX-License-Identifier: Apache-2.0

/**
 * A command, declared once: the parser, `--help`, the reference page and its tool for programs
 * (`mcp serve`) all come from this. Declarations are light; what a command does is loaded when it runs.
 */
import type * as z from "zod/mini";
import type { Ended } from "./exit.ts";

/** What a word names, for shells that complete it; `principal` is an agent or a service. */
export type Named =
  | "agent"
  | "approval"
  | "ask"
  | "file"
  | "machine"
  | "principal"
  | "room"
  | "service"
  | "template";

export interface ArgumentSpec {
  readonly name: string;
  readonly brief: string;
  readonly optional?: boolean;
  /** Absent: what its name says (`MACHINE`, `ROOM`, `TEMPLATE`, `FILE`), or nothing that is known. */
  readonly names?: Named;
  /** All that it may be, where that is little. */
  readonly oneOf?: readonly string[];
}

export interface FlagSpec {
  readonly kind: "text" | "switch" | "number" | "texts";
  readonly brief: string;
  /** Shown in help in place of a value, e.g. `PATH`. */
  readonly placeholder?: string;
  readonly default?: string;
  /** Absent: what its placeholder says. */
  readonly names?: Named;
}

export type FlagValue = string | number | boolean | readonly string[] | undefined;

/** What a command is given besides its own arguments. */
export interface CommandContext {
  readonly stateDir: string;
  readonly runDir: string;
  /** Of `bureau login`, where it counts; absent: the operator's. */
  readonly sessionFile?: string;
  readonly json: boolean;
  /** Writes a line for a person; silent with `--json`. */
  print(line: string): void;
  /** Writes a line whatever the mode: streamed output. */
  emit(line: string): void;
  /** Says on a person's terminal what is waited for, while it takes longer than a second; absent where nobody looks. */
  progress?(text: string): (Disposable & { say(text: string): void }) | undefined;
  /** What was written for the command to read, whole; a program's call has none unless it says so. */
  input(): Promise<Uint8Array>;
  /** All commands that there are, for those that are about commands. */
  readonly commands: readonly CommandSpec[];
  /** Aborted on Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
}

export interface Invocation extends CommandContext {
  readonly args: readonly string[];
  readonly flags: Readonly<Record<string, FlagValue>>;
}

/** The form of what `--json` prints; undefined: nothing, at some times. */
export type ResultSchema = z.core.$ZodType;

/** As handlers have it: nobody changes it any more. */
type Given<T> = T extends readonly (infer Item)[] ? readonly Given<Item>[]
  : T extends object ? { readonly [K in keyof T]: Given<T[K]> }
  : T;

/** By a schema the compiler holds a handler to it; without one it is anything. */
type Result<S> = S extends ResultSchema ? Given<z.core.output<S>> | Ended<Given<z.core.output<S>>>
  : unknown;

/** @returns what `--json` prints, as one line; undefined: nothing */
export type CommandHandler<S = unknown> = (call: Invocation) => Promise<Result<S>>;

/** What a command that destroys would do. Nothing has happened yet: a look at what is there, and no more. */
export interface Plan<R = unknown> {
  /** For a question, a refusal and a report: `destroy agent/scribe`. */
  readonly what: string;
  /** What goes and what stays, a line each. */
  readonly lines: readonly string[];
  /** Nothing is lost by it after all: nobody is asked. */
  readonly harmless?: boolean;
  readonly run: () => Promise<R>;
}

/** Asked and looked through by the framework (`destroy.ts`), which alone runs it. @returns null: there is nothing to do */
export type Destroyer<S = unknown> = (call: Invocation) => Promise<Plan<Result<S>> | null>;

/**
 * A command as a tool of programs (`bureau mcp serve`). It is called in this process, with arguments that were
 * never text: such a command reads nothing but `call.input()` and writes nothing but by its context.
 */
export interface ToolMark<E = "reads" | "changes" | "destroys" | "grants"> {
  /** `destroys`: something is lost or stops; `grants`: somebody may do more than before. */
  readonly effect: E;
  /** Called twice it does what it does once. */
  readonly idempotent?: true;
  /** It touches what lies outside of this Bureau. */
  readonly openWorld?: true;
  /** Flags that mean nothing there: a person's terminal, a file of theirs. */
  readonly without?: readonly string[];
  /** The argument or flag that names a file: a tool is given the text itself, as `input`. */
  readonly text?: { readonly of: string; readonly brief: string };
}

interface Declaration {
  /** `["agent", "list"]`. */
  readonly path: readonly string[];
  readonly brief: string;
  /** More for `--help` and the reference. */
  readonly docs?: string;
  readonly args?: readonly ArgumentSpec[];
  /** Takes any number of the last argument. */
  readonly variadic?: boolean;
  readonly flags?: Readonly<Record<string, FlagSpec>>;
  readonly examples?: readonly string[];
  /** Plumbing that people don't call; absent from help. */
  readonly hidden?: boolean;
  /** Of what it gives; loaded where somebody asks for it. */
  readonly result?: () => Promise<ResultSchema>;
  /** Of one that goes on: of each line that `--json` writes. */
  readonly line?: () => Promise<ResultSchema>;
  /** Why `--json` gives nothing that a schema could say. */
  readonly raw?: string;
}

/** Absent: nobody has thought of it, so it is none; `none` says why it can't be one. */
type Tool<E> = ToolMark<E> | { readonly none: string };

interface PlainSpec extends Declaration {
  readonly destroys?: never;
  readonly tool?: Tool<"reads" | "changes" | "grants">;
  readonly load: () => Promise<CommandHandler>;
}

/** Something is lost by it: with it come `--dry-run`, and a question before it unless `--yes`. */
interface DestroyingSpec extends Declaration {
  readonly destroys: true;
  readonly tool?: Tool<"destroys">;
  readonly load: () => Promise<Destroyer>;
}

export type CommandSpec = PlainSpec | DestroyingSpec;

const DESTROYING: Readonly<Record<"dry-run" | "yes", FlagSpec>> = {
  "dry-run": { kind: "switch", brief: "only say what would be done" },
  yes: { kind: "switch", brief: "do not ask" },
};

export function defineCommand(spec: CommandSpec): CommandSpec {
  return spec.destroys ? { ...spec, flags: { ...spec.flags, ...DESTROYING } } : spec;
}

/** The JSON Schema of what a command takes, e.g. for a tool of the same name. */
export function inputSchema(spec: CommandSpec): Record<string, unknown> {
  const types = {
    text: { type: "string" },
    switch: { type: "boolean" },
    number: { type: "number" },
    texts: { type: "array", items: { type: "string" } },
  } as const;
  const properties: Record<string, unknown> = {};
  for (const argument of spec.args ?? []) {
    properties[argument.name] = { type: "string", description: argument.brief };
  }
  for (const [name, flag] of Object.entries(spec.flags ?? {})) {
    properties[name] = { ...types[flag.kind], description: flag.brief };
  }
  return {
    type: "object",
    properties,
    required: (spec.args ?? []).filter((argument) => !argument.optional).map(({ name }) => name),
    additionalProperties: false,
  };
}
