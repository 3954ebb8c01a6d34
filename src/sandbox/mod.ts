// SPDX-License-Identifier: Apache-2.0

/** The sandbox primitive: what may be in it (`plan`), and how bwrap is told (`arguments`). */
export * from "./arguments.ts";
export * from "./errors.ts";
export * from "./plan.ts";
