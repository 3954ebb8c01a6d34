// SPDX-License-Identifier: Apache-2.0

/** A parent's side of the provision contract: starts workers, gives them runs, ends them. */
export * from "./connection.ts";
export * from "./errors.ts";
export * from "./launch.ts";
export * from "./narrow.ts";
export * from "./parent.ts";
export * from "./permissions.ts";
export * from "./pool.ts";
export * from "./worker.ts";
