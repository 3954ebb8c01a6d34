// SPDX-License-Identifier: Apache-2.0

/** `event_fields` of a sync filter: which parts of an event a client wants. */
import { isObject } from "./params.ts";

/** A field, key by key. */
export type FieldPath = readonly string[];

/** More than a client has use for; each costs a look at every event. */
const MAX_FIELDS = 64;

/**
 * Reads `content.body`: dots separate, `\.` is a dot and `\\` a backslash of a key. What is no text is
 * left out.
 * @returns undefined when all fields are wanted
 */
export function parseFields(value: unknown): readonly FieldPath[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.filter((field) => typeof field === "string" && field.length <= 1024)
    .slice(0, MAX_FIELDS).map(splitPath);
}

function splitPath(field: string): FieldPath {
  const keys = [""];
  for (let at = 0; at < field.length; at++) {
    const char = field[at]!;
    const next = field[at + 1];
    if (char === "\\" && (next === "." || next === "\\")) {
      keys[keys.length - 1] += next;
      at++;
    } else if (char === ".") keys.push("");
    else keys[keys.length - 1] += char;
  }
  return keys;
}

/** The event with these fields only; one that it lacks is left out. */
export function keepFields(event: unknown, fields: readonly FieldPath[]): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const path of fields) copyField(event, path, kept);
  return kept;
}

function copyField(from: unknown, path: FieldPath, into: Record<string, unknown>): void {
  const [key, ...rest] = path;
  // As a key of an object that we make it would be its prototype.
  if (key === undefined || key === "__proto__" || !isObject(from) || !Object.hasOwn(from, key)) {
    return;
  }
  const value = from[key];
  if (rest.length === 0) {
    into[key] = value;
    return;
  }
  if (!isObject(value)) return;
  // A shorter path may have brought the whole already.
  if (into[key] === value) return;
  const inner: Record<string, unknown> = isObject(into[key]) ? into[key] : {};
  copyField(value, rest, inner);
  if (Object.keys(inner).length > 0) into[key] = inner;
}
