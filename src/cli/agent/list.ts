// SPDX-License-Identifier: Apache-2.0

/** `agent list` and `agent show`, as the daemon sees them now. */
import type { PrincipalView } from "../../daemon/api.ts";
import { parseEntity } from "../../lib/ref/mod.ts";
import { neutralise } from "../../lib/terminal/mod.ts";
import type { CommandHandler } from "../framework/command.ts";
import { table } from "../framework/table.ts";
import { daemonClient, loadSession, principalOf } from "../session.ts";

/** `agent/scribe` of a full name. */
export function shortName(principal: string): string {
  try {
    return parseEntity(principal).account;
  } catch {
    return principal;
  }
}

export function ago(since: number, now = Date.now()): string {
  const seconds = Math.max(0, Math.round((now - since) / 1000));
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129_600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** One line an agent, under a heading. */
export function agentTable(principals: readonly PrincipalView[]): string[] {
  if (principals.length === 0) return ["no agents are assigned to this machine"];
  return table(
    ["AGENT", "STATE", "SINCE", "RESTARTS", "TEMPLATE", "NOTE"],
    principals.map((view) => [
      shortName(view.principal),
      view.phase,
      ago(view.since),
      String(view.restarts),
      view.template,
      (view.isolation === "none" ? "NOT ISOLATED " : "") +
      (view.frozen === true ? "FROZEN " : "") +
      neutralise(view.message ?? (view.exit_code === null ? "" : `exit status ${view.exit_code}`)),
    ]),
  );
}

export const list: CommandHandler = async (call) => {
  const session = await loadSession(call);
  const daemon = daemonClient(call, session);
  try {
    const answer = await daemon.call("list", { signal: call.signal });
    for (const line of agentTable(answer.principals)) call.print(line);
    return answer;
  } finally {
    daemon.close();
  }
};

export const show: CommandHandler = async (call) => {
  const session = await loadSession(call);
  const daemon = daemonClient(call, session);
  try {
    const principal = principalOf(session, call.args[0]!);
    const view = await daemon.call("show", { params: { principal }, signal: call.signal });
    const lines: [string, string][] = [
      ["name", view.principal],
      ["account", view.user_id],
      ["room", view.room ?? "none"],
      ["template", view.template],
      ["wanted", view.desired],
      ...(view.isolation === "none"
        ? [["isolation", "NONE: it has the launcher's rights on this machine"] as [string, string]]
        : []),
      ["state", `${view.phase}, for ${ago(view.since)}`],
      ...(view.frozen === true
        ? [["frozen", "yes; `bureau agent thaw` lets it go on"] as [string, string]]
        : []),
      ["restarts", String(view.restarts)],
      ["exit status", view.exit_code === null ? "none" : String(view.exit_code)],
      ["watchers", String(view.watchers)],
      [
        "egress",
        `${view.egress.allowed} connections allowed, ${view.egress.refused} refused, ${view.egress.bytes} bytes`,
      ],
      ...(view.message === null ? [] : [["why", neutralise(view.message)] as [string, string]]),
      ...(view.hint === null ? [] : [["hint", neutralise(view.hint)] as [string, string]]),
    ];
    for (const [name, value] of lines) call.print(`${name.padEnd(12)} ${value}`);
    return view;
  } finally {
    daemon.close();
  }
};
