// SPDX-License-Identifier: Apache-2.0
import type { CommandHandler } from "../framework/command.ts";
import { VERSION } from "../../lib/version.ts";
import type * as results from "./results.ts";

/** `version`. */
export const version: CommandHandler<typeof results.version> = (call) => {
  call.print(`bureau ${VERSION} (deno ${Deno.version.deno})`);
  return Promise.resolve({ version: VERSION, deno: Deno.version.deno });
};
