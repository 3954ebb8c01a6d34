// SPDX-License-Identifier: Apache-2.0

/**
 * Service tokens: short-lived statements of a machine about one of its principals, for one service. The
 * daemon makes them (`sign.ts`), services check them (`verify.ts`).
 */
export * from "./errors.ts";
export * from "./rules.ts";
export * from "./sign.ts";
export * from "./trust.ts";
export * from "./verify.ts";
