// SPDX-License-Identifier: Apache-2.0

/** Recordings of terminals: their format, their files, and how secrets in them are recognised. */
export * from "./files.ts";
export * from "./fingerprint.ts";
export * from "./format.ts";
export * from "./owner.ts";
export * from "./read.ts";
