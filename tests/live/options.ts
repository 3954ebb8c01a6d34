// SPDX-License-Identifier: Apache-2.0

/** What `deno task test:live` is told. Keys come from a file or from standard input; those of the environment are taken out of it. */
import { parseArgs } from "node:util";
import { type Program, PROGRAMS } from "./programs.ts";

export interface LiveOptions {
  readonly programs: readonly Program[];
  /** US dollars that each agent may spend; whole ones, as an event has no fractions. */
  readonly budget: number;
  /** By provider. */
  readonly keys: Readonly<Record<Program["provider"], string | null>>;
  /** Where models are instead, by provider. */
  readonly urls: Readonly<Record<Program["provider"], string | null>>;
}

export const USAGE = `deno task test:live [--keys FILE|-] [--budget USD] [--only NAME,…]
                    [--anthropic-url URL] [--openai-url URL]
FILE: {"anthropic": "sk-ant-…", "openai": "sk-…"}; or ANTHROPIC_API_KEY and OPENAI_API_KEY.
NAME: ${PROGRAMS.map(({ name }) => name).join(", ")}`;

export async function readOptions(args: readonly string[]): Promise<LiveOptions> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      keys: { type: "string" },
      budget: { type: "string", default: "1" },
      only: { type: "string" },
      "anthropic-url": { type: "string" },
      "openai-url": { type: "string" },
    },
  });
  const budget = Number(values.budget);
  if (!Number.isInteger(budget) || budget < 1) {
    throw new Error(`Cannot spend "${values.budget}": give whole dollars\n${USAGE}`);
  }
  const names = values.only?.split(",") ?? PROGRAMS.map(({ name }) => name as string);
  const unknown = names.filter((name) => !PROGRAMS.some((program) => program.name === name));
  if (unknown.length > 0) throw new Error(`Cannot test ${unknown.join(", ")}\n${USAGE}`);
  const given = values.keys === undefined ? {} : await readKeys(values.keys);
  return {
    programs: PROGRAMS.filter(({ name }) => names.includes(name)),
    budget,
    keys: {
      anthropic: keyOf(given, "anthropic", "ANTHROPIC_API_KEY"),
      openai: keyOf(given, "openai", "OPENAI_API_KEY"),
    },
    urls: { anthropic: values["anthropic-url"] ?? null, openai: values["openai-url"] ?? null },
  };
}

/** What cannot be read is not shown: it may be a key. */
async function readKeys(file: string): Promise<Record<string, unknown>> {
  const text = file === "-"
    ? await new Response(Deno.stdin.readable).text()
    : await Deno.readTextFile(file);
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`Cannot read the keys in "${file}": no JSON\n${USAGE}`);
  }
}

function keyOf(given: Record<string, unknown>, provider: string, variable: string): string | null {
  const inherited = Deno.env.get(variable);
  // What this starts must not have it.
  Deno.env.delete(variable);
  const key = given[provider] ?? inherited;
  return typeof key === "string" && key !== "" ? key : null;
}
