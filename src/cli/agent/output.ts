// SPDX-License-Identifier: Apache-2.0

/** `agent output`: an agent's last words, for those who weren't watching. */
import { neutraliseLine } from "../../lib/terminal/mod.ts";
import type { CommandHandler } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { daemonClient, loadSession, principalOf } from "../session.ts";
import { ago } from "./list.ts";
import type * as results from "./results.ts";

export const output: CommandHandler<typeof results.output> = async (call) => {
  const session = await loadSession(call);
  const lines = String(call.flags["lines"] ?? "500");
  if (!/^[1-9]\d{0,2}$/.test(lines) || Number(lines) > 500) {
    throw new CliError("usage", `Cannot show "${lines}" lines: 1 to 500 are kept`);
  }
  const daemon = daemonClient(call, session);
  try {
    const principal = principalOf(session, call.args[0]!);
    const answer = await daemon.call("output", {
      params: { principal },
      query: { lines },
      signal: call.signal,
    });
    const { now, last } = answer;
    const ofLast = call.flags["last"] === true || now === null;
    if (ofLast && last === null) {
      throw new CliError(
        "no-output",
        `Cannot show what "${principal}" wrote: ${
          now === null ? "it does not run, and" : "it"
        } has not ended here before`,
        { hint: "`bureau agent show` says what it is doing" },
      );
    }
    for (const line of ofLast ? last!.output : now!) call.print(neutraliseLine(line));
    if (ofLast) {
      const { code, signal, at, reason } = last!;
      const how = signal === null ? `exit status ${code}` : `signal ${signal}`;
      call.print(
        `-- ended ${ago(at)} ago: ${how}${
          reason === undefined ? "" : `, ${neutraliseLine(reason)}`
        }`,
      );
    }
    return { principal, ...answer };
  } finally {
    daemon.close();
  }
};
