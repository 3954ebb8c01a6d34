// SPDX-License-Identifier: Apache-2.0

/** Watching a terminal: the relay in the principal's cell. The interface is `api.ts`. */
export * from "./errors.ts";
export * from "./relay.ts";
