// SPDX-License-Identifier: Apache-2.0

/** Leave for single tool calls: asked, decided once, handed over once. */
export * from "./limits.ts";
export * from "./registry.ts";
export * from "./types.ts";
