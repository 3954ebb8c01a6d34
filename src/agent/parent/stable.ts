// SPDX-License-Identifier: Apache-2.0

/** JSON in which equal values are equal texts. (Canonical JSON would refuse fractions, which `mcp` may hold.) */
export function stable(value: unknown): string {
  return JSON.stringify(value, (_, item) => {
    if (typeof item !== "object" || item === null || Array.isArray(item)) return item;
    const entries = Object.entries(item).sort(([a], [b]) => a < b ? -1 : 1);
    // Not an object again: its numeric keys would have an order of their own.
    return { "": entries.flat() };
  }) ?? "absent";
}
