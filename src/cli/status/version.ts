// SPDX-License-Identifier: Apache-2.0
import type { CommandHandler } from "../framework/command.ts";
import { VERSION } from "../../lib/version.ts";
import type * as results from "./results.ts";

/** `version`. What is installed and what runs, tasks/bureau found out: this process may look at neither. */
export const version: CommandHandler<typeof results.version> = (call) => {
  call.print(`bureau ${VERSION} (deno ${Deno.version.deno})`);
  const known = { version: VERSION, deno: Deno.version.deno };
  const release = call.flags["release"];
  if (typeof release !== "string") return Promise.resolve(known);
  const running = String(call.flags["running"] ?? "").split(" ").filter((name) => name !== "");
  call.print(`release ${release}`);
  const others = running.filter((name) => name !== release);
  if (others.length > 0) call.print(`still running: ${others.join(", ")}`);
  return Promise.resolve({ ...known, release, running });
};
