// SPDX-License-Identifier: Apache-2.0

/** How Bureau's own processes are laid out on disk and started with their written permissions. */
export * from "./directories.ts";
export * from "./grants.ts";
export * from "./paths.ts";
export * from "./spawn.ts";
