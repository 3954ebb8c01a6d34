// SPDX-License-Identifier: Apache-2.0

/** Templates: references resolved, parents merged, instances made of them. */
export * from "./budgets.ts";
export * from "./builtin.ts";
export * from "./egress.ts";
export * from "./errors.ts";
export * from "./instantiate.ts";
export * from "./merge.ts";
export * from "./presets.ts";
export * from "./resolve.ts";
export * from "./trace.ts";
export * from "./validate.ts";
export * from "./variables.ts";
