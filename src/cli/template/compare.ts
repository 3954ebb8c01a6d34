// SPDX-License-Identifier: Apache-2.0

/** What differs between two templates, field by field. */
import { canonicalJson } from "../../lib/canonical/mod.ts";
import { neutraliseLine } from "../../lib/terminal/mod.ts";

export interface Difference {
  /** For example `environment_variables.HOME`. */
  readonly field: string;
  /** Absent: it was not there. */
  readonly before?: unknown;
  /** Absent: it is not there any more. */
  readonly after?: unknown;
}

/** Of lists the entries that came and went; where only their order differs, both whole. */
export function compare(before: unknown, after: unknown, field = ""): Difference[] {
  if (before !== undefined && after !== undefined && same(before, after)) return [];
  if (isObject(before) && isObject(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
    return keys.flatMap((key) =>
      compare(own(before, key), own(after, key), field === "" ? key : `${field}.${key}`)
    );
  }
  if (Array.isArray(before) && Array.isArray(after)) {
    const gone = before.filter((item) => !after.some((other) => same(item, other)));
    const come = after.filter((item) => !before.some((other) => same(item, other)));
    // The same entries in another order: that is the difference.
    if (gone.length + come.length === 0) return [{ field, before, after }];
    return [
      ...gone.map((item) => ({ field: `${field}[]`, before: item })),
      ...come.map((item) => ({ field: `${field}[]`, after: item })),
    ];
  }
  return [{
    field,
    ...(before === undefined ? {} : { before }),
    ...(after === undefined ? {} : { after }),
  }];
}

export function differenceLines(differences: readonly Difference[]): string[] {
  return differences.flatMap(({ field, before, after }) => [
    ...(before === undefined ? [] : [`- ${field}: ${show(before)}`]),
    ...(after === undefined ? [] : [`+ ${field}: ${show(after)}`]),
  ]);
}

/** A value of somebody else's, on one line. */
export function show(value: unknown): string {
  return neutraliseLine(typeof value === "string" ? value : JSON.stringify(value));
}

function same(a: unknown, b: unknown): boolean {
  return canonicalJson(a) === canonicalJson(b);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function own(record: Record<string, unknown>, key: string): unknown {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}
