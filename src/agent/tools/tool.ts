// SPDX-License-Identifier: Apache-2.0

/** What a model can have done. */
import type { ToolDefinition } from "../model/types.ts";

export interface ToolContext {
  /** Paths that are not absolute are below it. */
  readonly workspace: string;
  /** Ends the tool, and what it started. */
  readonly signal: AbortSignal;
}

export interface ToolOutput {
  readonly output: string;
  readonly is_error: boolean;
}

export interface Tool extends ToolDefinition {
  /** Changes nothing: several of them run at one time. */
  readonly isReadOnly: boolean;
  /** Several of it run at one time, though they change something: each in a place of its own, or as the model says. */
  readonly isConcurrent?: boolean;
  /** What it throws is told to the model as its result. */
  run(input: Readonly<Record<string, unknown>>, context: ToolContext): Promise<ToolOutput>;
}

/** The model's mistake, or the world's: told to it in these words. */
export class ToolError extends Error {
  override readonly name = "ToolError";
}

type Property =
  | { readonly type: "string"; readonly description: string }
  | {
    readonly type: "integer";
    readonly description: string;
    readonly minimum?: number;
    readonly maximum?: number;
  }
  | { readonly type: "boolean"; readonly description: string }
  | { readonly type: "strings"; readonly description: string };

export type Properties = Readonly<Record<string, Property>>;

type ValueOf<P extends Property> = P["type"] extends "string" ? string
  : P["type"] extends "integer" ? number
  : P["type"] extends "strings" ? readonly string[]
  : boolean;

export type InputOf<P extends Properties, R extends keyof P> =
  & { readonly [K in R]: ValueOf<P[K]> }
  & { readonly [K in Exclude<keyof P, R>]?: ValueOf<P[K]> };

/** A tool whose input is checked against its schema before it runs. */
export function defineTool<const P extends Properties, const R extends keyof P & string>(tool: {
  readonly name: string;
  readonly description: string;
  readonly isReadOnly: boolean;
  readonly isConcurrent?: boolean;
  readonly properties: P;
  readonly required: readonly R[];
  readonly run: (input: InputOf<P, R>, context: ToolContext) => Promise<string | ToolOutput>;
}): Tool {
  const { name, description, isReadOnly, isConcurrent = false, properties, required } = tool;
  return {
    name,
    description,
    isReadOnly,
    isConcurrent,
    schema: {
      type: "object",
      properties: schemasOf(properties),
      required,
      additionalProperties: false,
    },
    run: async (input, context) => {
      check(properties, required, input);
      const done = await tool.run(input as InputOf<P, R>, context);
      return typeof done === "string" ? { output: done, is_error: false } : done;
    },
  };
}

/** In JSON Schema. */
function schemasOf(properties: Properties): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(properties).map(([name, property]) => {
      if (property.type !== "strings") return [name, property];
      const { description } = property;
      return [name, { type: "array", items: { type: "string" }, description }];
    }),
  );
}

/** @throws {ToolError} naming what is wrong */
function check(
  properties: Properties,
  required: readonly string[],
  input: Readonly<Record<string, unknown>>,
): void {
  const missing = required.filter((name) => input[name] === undefined || input[name] === null);
  if (missing.length > 0) throw new ToolError(`missing: ${missing.join(", ")}`);
  for (const [name, value] of Object.entries(input)) {
    const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (property === undefined) {
      throw new ToolError(`there is no "${name}"; it takes ${Object.keys(properties).join(", ")}`);
    }
    if (value === null || value === undefined) continue;
    if (!isOf(property, value)) {
      const type = property.type === "strings" ? "array of strings" : property.type;
      throw new ToolError(`"${name}" must be of type ${type}`);
    }
    if (property.type !== "integer") continue;
    const { minimum = -Infinity, maximum = Infinity } = property;
    if (Number(value) < minimum || Number(value) > maximum) {
      throw new ToolError(`"${name}" must be from ${minimum} to ${maximum}`);
    }
  }
}

function isOf({ type }: Property, value: unknown): boolean {
  switch (type) {
    case "string":
      return typeof value === "string";
    case "boolean":
      return typeof value === "boolean";
    case "integer":
      return Number.isInteger(value);
    case "strings":
      return Array.isArray(value) && value.every((each) => typeof each === "string");
  }
}

/** @param path as the model gave it; which of them exist for it is the sandbox's to say */
export function at(path: string, { workspace }: ToolContext): string {
  if (path === "" || path.includes("\0")) throw new ToolError(`"${path}" is no path`);
  return path.startsWith("/") ? path : `${workspace}/${path}`;
}

/** In the words of the system, and with no stack. */
export function wordsOf(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return text.replace(/ \(os error \d+\)/, "");
}
