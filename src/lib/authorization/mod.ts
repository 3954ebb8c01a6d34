// SPDX-License-Identifier: Apache-2.0

/**
 * Who may do what: default deny, denials win, and every decision names the rule that made it. A process
 * that must stay small imports `self.ts` alone, which needs no schemas.
 */
export * from "./check.ts";
export * from "./decide.ts";
export * from "./effective.ts";
export * from "./egress.ts";
export * from "./self.ts";
export * from "./validate.ts";
