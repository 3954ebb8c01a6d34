// SPDX-License-Identifier: Apache-2.0

/** `matrix state check`: one question to a room's state, answered by the exit status. */
import { canonicalJson } from "../../lib/canonical/mod.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError, Ended, Exit, FailedWith } from "../framework/exit.ts";
import { loadSession, matrixClient, roomOf } from "../session.ts";
import type * as results from "./results.ts";

const UNDECIDED = 2;

export interface Question {
  readonly word: "equals" | "not-equals" | "in" | "not-in";
  readonly values: readonly string[];
}

export const stateCheck: CommandHandler<typeof results.stateCheck> = async (call) => {
  try {
    const question = questionOf(call);
    const type = required(call, "type");
    const field = required(call, "field");
    const session = await loadSession(call);
    const client = matrixClient(session);
    const room = await roomOf(client, session, required(call, "room"));
    const key = String(call.flags["key"] ?? "");
    const content = await client.getState(room, type, key);
    const value = content === null ? undefined : fieldOf(content, field);
    const holds = answer(value, question);
    call.print(holds ? "yes" : value === undefined ? `no: there is no "${field}"` : "no");
    const result = {
      holds,
      room,
      type,
      key,
      field,
      present: value !== undefined,
      value: value ?? null,
    };
    return holds ? result : new Ended(result, Exit.failed);
  } catch (thrown) {
    throw new FailedWith(UNDECIDED, thrown);
  }
};

function required(call: Invocation, flag: string): string {
  const value = call.flags[flag];
  if (typeof value === "string" && value !== "") return value;
  throw new CliError("usage", `Cannot check: --${flag} must be given`);
}

function questionOf(call: Invocation): Question {
  const words = ["equals", "not-equals", "in", "not-in"] as const;
  const asked = words.flatMap((word): Question[] => {
    const given = call.flags[word];
    const values = typeof given === "string" ? [given] : (given ?? []) as readonly string[];
    return values.length === 0 ? [] : [{ word, values }];
  });
  if (asked.length === 1) return asked[0]!;
  throw new CliError(
    "usage",
    "Cannot check: give exactly one of --equals, --not-equals, --in and --not-in",
  );
}

/** The longest key that fits leads on, because keys may hold dots themselves. Undefined: nothing is there. */
export function fieldOf(value: unknown, path: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  if (Object.hasOwn(value, path)) return (value as Record<string, unknown>)[path];
  for (let dot = path.lastIndexOf("."); dot > 0; dot = path.lastIndexOf(".", dot - 1)) {
    const key = path.slice(0, dot);
    if (!Object.hasOwn(value, key)) continue;
    const found = fieldOf((value as Record<string, unknown>)[key], path.slice(dot + 1));
    if (found !== undefined) return found;
  }
  return undefined;
}

export function answer(value: unknown, { word, values }: Question): boolean {
  if (value === undefined) return false;
  const text = typeof value === "string" ? value : canonicalJson(value);
  const among = values.includes(text);
  return word === "equals" || word === "in" ? among : !among;
}
