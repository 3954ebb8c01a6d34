// SPDX-License-Identifier: Apache-2.0

/** The provision contract: what a worker is told, once, and how it is read and written. */
export * from "./errors.ts";
export * from "./ids.ts";
export { completeSpec, parseSpec, writeSpec } from "./parse.ts";
export { readSpec } from "./read.ts";
export type { ReadOptions } from "./read.ts";
export * from "./spec.ts";
