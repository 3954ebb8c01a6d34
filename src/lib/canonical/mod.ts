// SPDX-License-Identifier: Apache-2.0

/** One text for one JSON value, so that it can be signed, hashed and compared. */
export * from "./canonical.ts";
export * from "./digest.ts";
