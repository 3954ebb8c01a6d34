// SPDX-License-Identifier: Apache-2.0

/** New questions of agents as lines beside other output, until the command ends. */
import { authorityOf } from "../../lib/authority.ts";
import * as z from "zod/mini";
import { systemClock } from "../../lib/clock.ts";
import { AsksAnswer } from "../../daemon/api.ts";
import { neutraliseLine } from "../../lib/terminal/mod.ts";
import { shortName } from "../agent/list.ts";
import type { Invocation } from "../framework/command.ts";
import { daemonClient, type OperatorSession } from "../session.ts";

const RETRY_MS = 2_000;

/** Never throws: a daemon that is away is waited for. */
export async function followAsks(call: Invocation, session: OperatorSession): Promise<void> {
  const known = new Set<string>();
  while (!call.signal.aborted) {
    const daemon = daemonClient(call, session);
    try {
      for await (const event of daemon.events("followAsks", { signal: call.signal })) {
        const parsed = z.safeParse(AsksAnswer, event);
        if (parsed.success) { for (const line of newLines(parsed.data, known)) call.emit(line); }
      }
    } catch {
      // Told by `status`; here the questions alone are of interest.
    } finally {
      daemon.close();
    }
    await systemClock.sleep(RETRY_MS, call.signal).catch(() => {});
  }
}

/** @param known ids that were shown; those that ended are taken out */
export function newLines({ pending }: AsksAnswer, known: Set<string>): string[] {
  const open = new Set(pending.map(({ id }) => id));
  for (const id of known) if (!open.has(id)) known.delete(id);
  return pending.filter(({ id }) => !known.has(id)).map((ask) => {
    known.add(ask.id);
    const what = `${shortName(ask.principal)} asks to connect to ${authorityOf(ask)}`;
    return neutraliseLine(
      `ASK       ${what}: bureau egress approve ${ask.id}, or bureau egress deny ${ask.id}`,
    );
  });
}
