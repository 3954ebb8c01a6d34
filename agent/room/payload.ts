// SPDX-License-Identifier: Apache-2.0

/** What the payload says of how an agent talks in its room; docs/guide/agents.md has every field. */
import { BureauError } from "../../src/lib/errors.ts";

/** Whose messages reach a turn that goes on: of who asked for it, everybody's, nobody's. */
export const STEERING = ["asker", "everyone", "nobody"] as const;
export type Steering = typeof STEERING[number];

export const PROGRESS = ["none", "thread"] as const;
export type Progress = typeof PROGRESS[number];

export interface Manners {
  readonly steering: Steering;
  /** Where it shows what it does. */
  readonly progress: Progress;
}

export class PayloadError extends BureauError {
  override readonly name = "PayloadError";

  constructor(field: string, why: string) {
    super("payload", `Cannot use "${field}" of the payload: ${why}`, {
      hint:
        "docs/guide/agents.md and native-agent.md have the fields; `bureau agent payload` shows it",
    });
  }
}

/** @throws {PayloadError} naming the field */
export function readManners(payload: Readonly<Record<string, unknown>>): Manners {
  return {
    steering: oneOf(payload, "steering", STEERING) ?? "asker",
    progress: oneOf(payload, "progress", PROGRESS) ?? "none",
  };
}

/** @throws {PayloadError} naming the field */
export function oneOf<T extends string>(
  fields: Readonly<Record<string, unknown>>,
  name: string,
  all: readonly T[],
): T | undefined {
  const value = fields[name];
  if (value === undefined || all.includes(value as T)) return value as T | undefined;
  throw new PayloadError(name, `it is none of ${all.join(", ")}`);
}
