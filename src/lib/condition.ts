// SPDX-License-Identifier: Apache-2.0

/** Whether an event's content is what a condition asks for. */
import type { ContentMatch } from "./schema/condition.ts";

/**
 * Types are strict: 2 is not "2". A field that is not there matches nothing, an operator on numbers holds for
 * numbers alone, and of a list one element is enough.
 */
export function matchesContent(
  content: Readonly<Record<string, unknown>>,
  match: ContentMatch,
): boolean {
  return Object.entries(match).every(([field, criterion]) => {
    if (!Object.hasOwn(content, field)) return false;
    const value = content[field];
    const candidates: readonly unknown[] = Array.isArray(value) ? value : [value];
    return candidates.some((candidate) => meets(candidate, criterion));
  });
}

function meets(value: unknown, criterion: ContentMatch[string]): boolean {
  if (typeof criterion !== "object") return value === criterion;
  const { $eq, $lt, $lte, $gt, $gte, $in } = criterion;
  const compares = (limit: number | undefined, holds: (number: number, limit: number) => boolean) =>
    limit === undefined || (typeof value === "number" && holds(value, limit));
  return ($eq === undefined || value === $eq) &&
    compares($lt, (number, limit) => number < limit) &&
    compares($lte, (number, limit) => number <= limit) &&
    compares($gt, (number, limit) => number > limit) &&
    compares($gte, (number, limit) => number >= limit) &&
    ($in === undefined || $in.some((one) => one === value));
}
