// SPDX-License-Identifier: Apache-2.0

/** The `bureau` command. */
import { commands, groups } from "./commands.ts";
import { runCli } from "./framework/app.ts";

/** @returns the exit status */
export function runBureau(args: readonly string[]): Promise<number> {
  return runCli(groups, commands, args);
}
