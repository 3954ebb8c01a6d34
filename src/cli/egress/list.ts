// SPDX-License-Identifier: Apache-2.0

/** `egress list`: what waits for an answer, what holds for a while, and what was answered last. */
import { authorityOf } from "../../lib/authority.ts";
import type { AskView } from "../../daemon/api.ts";
import { ago, shortName } from "../agent/list.ts";
import type { CommandHandler } from "../framework/command.ts";
import { table } from "../framework/table.ts";
import { daemonClient, loadSession } from "../session.ts";
import type * as results from "./results.ts";

/** One line a question, under a heading; none: nothing. */
export function askTable(asks: readonly AskView[], now = Date.now()): string[] {
  if (asks.length === 0) return [];
  return table(
    ["ASK", "AGENT", "WANTS", "SINCE", "REFUSED IN", "WAITING"],
    asks.map((ask) => [
      ask.id,
      shortName(ask.principal),
      authorityOf(ask),
      ago(ask.since, now),
      ago(now, Math.max(now, ask.until)),
      String(ask.waiting),
    ]),
  );
}

/** How many of the last answers a person wants to see. */
const MAX_SHOWN = 20;

export const list: CommandHandler<typeof results.list> = async (call) => {
  const session = await loadSession(call);
  const daemon = daemonClient(call, session);
  try {
    const answer = await daemon.call("asks", { signal: call.signal });
    const open = askTable(answer.pending);
    for (const line of open.length === 0 ? ["nothing waits for an answer"] : open) call.print(line);
    if (answer.rules.length > 0) {
      call.print("");
      const rows = answer.rules.map((rule) => [
        shortName(rule.principal),
        authorityOf(rule),
        rule.allowed ? "allowed" : "refused",
        new Date(rule.until).toISOString(),
        rule.by,
      ]);
      for (const line of table(["AGENT", "DESTINATION", "IS", "UNTIL", "BY"], rows)) {
        call.print(line);
      }
    }
    if (answer.decided.length > 0) {
      call.print("");
      const rows = answer.decided.slice(0, MAX_SHOWN).map((one) => [
        one.id,
        shortName(one.principal),
        authorityOf(one),
        one.outcome + (one.always ? " for good" : ""),
        `${ago(one.at)} ago`,
        `${one.by} (${one.via})`,
      ]);
      for (
        const line of table(["ANSWERED", "AGENT", "WANTED", "OUTCOME", "WHEN", "BY"], rows, [
          "BY",
          "WHEN",
        ])
      ) {
        call.print(line);
      }
    }
    return answer;
  } finally {
    daemon.close();
  }
};
