// SPDX-License-Identifier: Apache-2.0

/** Drivers of command-line agents. */
import { claude } from "./claude.ts";
import { codex } from "./codex.ts";
import type { Driver } from "./driver.ts";

export { CLAUDE_ENVIRONMENT } from "./claude.ts";
export type {
  ApprovalRequest,
  Driver,
  DriverSession,
  SendOptions,
  StartOptions,
} from "./driver.ts";
export { DriverError } from "./errors.ts";
export { lineDriver, type LineOptions } from "./line.ts";
export { claude, codex };

/** By the name of the program; a line program needs to be told how its answers end. */
export const DRIVERS: Readonly<Record<string, Driver>> = { claude, codex };
