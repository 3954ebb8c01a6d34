// SPDX-License-Identifier: Apache-2.0

/** The dashboard's last line: who waits for a person. */
import type { DaemonStatus, PrincipalView } from "../../daemon/api.ts";
import { neutraliseLine } from "../../lib/terminal/mod.ts";
import { shortName } from "../agent/list.ts";
import { needOf } from "../list/need.ts";

const MAX_NAMED = 3;

/** @returns in one line, what a person has to know first */
export function statusText(status: Pick<DaemonStatus, "principals" | "asks">): string {
  const parts: string[] = [];
  const waiting = status.principals.filter((view) => needOf(view).waits);
  for (const view of waiting.slice(0, MAX_NAMED)) {
    parts.push(`${shortName(view.principal)} ${needOf(view).word}`);
  }
  if (waiting.length > MAX_NAMED) parts.push(`${waiting.length - MAX_NAMED} more wait`);
  if (status.asks.length > 0) {
    const first = status.asks[0]!;
    const more = status.asks.length > 1 ? `, and ${status.asks.length - 1} more` : "";
    parts.push(
      `${shortName(first.principal)} asks for ${
        neutraliseLine(first.host)
      }:${first.port} (${first.id}${more})`,
    );
  }
  const running = status.principals.filter(({ phase }) => phase === "running").length;
  parts.push(`${running} of ${status.principals.length} run`);
  return parts.join(" · ");
}

/** What a pane's border says of its agent; empty: nothing that a person has to see. */
export function borderText(view: PrincipalView | undefined): string {
  if (view === undefined) return "";
  const need = needOf(view);
  return need.waits ? need.word : "";
}
