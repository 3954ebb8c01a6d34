// SPDX-License-Identifier: Apache-2.0

/** The sandbox primitive: what may be in it (`plan`), and how bwrap is told (`arguments`). */
export * from "./arguments.ts";
export * from "./contract.ts";
export * from "./devices.ts";
export * from "./errors.ts";
export * from "./etc.ts";
export * from "./explain.ts";
export * from "./guard.ts";
export * from "./health.ts";
export * from "./plan.ts";
export * from "./plan_parts.ts";
export * from "./plan_sources.ts";
export * from "./protected.ts";
export * from "./scripts.ts";
export * from "./seccomp/mod.ts";
export * from "./words.ts";
