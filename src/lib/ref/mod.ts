// SPDX-License-Identifier: Apache-2.0

/**
 * Names. One grammar for localparts, user ids, room aliases, state keys and template references; every
 * function here throws `RefError` instead of returning something half right.
 */
export * from "./budget.ts";
export * from "./entity.ts";
export * from "./errors.ts";
export * from "./names.ts";
export * from "./template.ts";
