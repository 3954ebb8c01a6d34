// SPDX-License-Identifier: Apache-2.0

/** `service token`: an operator is a caller like any other (W-11). */
import type { CommandHandler } from "../framework/command.ts";
import { daemonClient, loadSession } from "../session.ts";
import { roleOf } from "./read.ts";
import type * as results from "./results.ts";

export const token: CommandHandler<typeof results.token> = async (call) => {
  const role = roleOf(call.args[0]!);
  const daemon = daemonClient(call, await loadSession(call));
  try {
    const minted = await daemon.call("serviceToken", { params: { role }, signal: call.signal });
    call.print(minted.token);
    return { role, ...minted };
  } finally {
    daemon.close();
  }
};
