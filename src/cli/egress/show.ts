// SPDX-License-Identifier: Apache-2.0

/** `egress show`: the policy in force for one agent, each line with where it comes from. */
import type { EgressLine } from "../../daemon/api.ts";
import type { CommandHandler } from "../framework/command.ts";
import { table } from "../framework/table.ts";
import { daemonClient, loadSession, principalOf } from "../session.ts";
import type * as results from "./results.ts";

export const show: CommandHandler<typeof results.show> = async (call) => {
  const session = await loadSession(call);
  const daemon = daemonClient(call, session);
  try {
    const params = { principal: principalOf(session, call.args[0]!) };
    const policy = await daemon.call("egressOf", { params, signal: call.signal });
    const rows = (verb: string, lines: readonly EgressLine[]) =>
      lines.map(({ entry, source, only, preset }) => [
        verb,
        entry,
        preset === undefined ? source : `${source}, preset:${preset}`,
        only === undefined ? "" : `only ${only}`,
      ]);
    const lines = [
      ...rows("refuse", policy.deny),
      ...rows("allow", policy.allow),
      ...rows("ask", policy.ask),
    ];
    if (lines.length === 0) call.print("it may go nowhere");
    else {
      for (const line of table(["", "DESTINATION", "FROM", ""], lines)) call.print(line);
      call.print("");
      call.print("what no line names is refused; a refusal wins over the lines below it");
    }
    if (policy.ask.length > 0) {
      call.print(`a question that nobody answers is a refusal after ${policy.ask_timeout_s} s`);
    }
    if (policy.no_tunnels.length > 0) {
      call.print(
        `only through a service or the Matrix gateway: ${
          policy.no_tunnels.map((action) => action.split("/").slice(1).join(":")).join(", ")
        }`,
      );
    }
    return policy;
  } finally {
    daemon.close();
  }
};
