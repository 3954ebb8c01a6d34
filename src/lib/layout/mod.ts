// SPDX-License-Identifier: Apache-2.0

/** Layouts of terminals (`m.bureau.layout`): what they hold, and what tmux makes of them. Pure functions. */
export * from "./equal.ts";
export * from "./errors.ts";
export * from "./expand.ts";
export * from "./geometry.ts";
export * from "./tree.ts";
export * from "./types.ts";
export * from "./validate.ts";
