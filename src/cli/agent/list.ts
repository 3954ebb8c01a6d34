// SPDX-License-Identifier: Apache-2.0

/** `agent list` and `agent show`, as the daemon sees them now. */
import { byNeed, type PrincipalView } from "../../daemon/api.ts";
import type { Usage } from "../../launcher/api.ts";
import { HttpApiError } from "../../lib/http/mod.ts";
import { parseEntity } from "../../lib/ref/mod.ts";
import { neutralise } from "../../lib/terminal/mod.ts";
import type { CommandHandler } from "../framework/command.ts";
import { type Cell, table } from "../framework/table.ts";
import { daemonClient, loadSession, principalOf } from "../session.ts";
import { allRecords, lookText, readRecord, type WorkRecord } from "./work/record.ts";
import { attentionCell, attentionLines } from "./attention.ts";
import type * as results from "./results.ts";

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

/** One line an agent, under a heading; who needs a person most first. */
export function agentTable(
  principals: readonly PrincipalView[],
  works: readonly WorkRecord[] = [],
): string[] {
  if (principals.length === 0) return ["no agents are assigned to this machine"];
  return table(
    ["AGENT", "STATE", "SINCE", "ATTENTION", "RESTARTS", "TEMPLATE", "NOTE"],
    [...principals].sort(byNeed).map((view) => [
      shortName(view.principal),
      phaseCell(view.phase),
      ago(view.since),
      attentionCell(view, ago),
      String(view.restarts),
      view.template,
      (view.isolation === "none" ? "NOT ISOLATED " : "") +
      (view.frozen === true ? "FROZEN " : "") +
      (view.rolled_back === undefined ? "" : "ROLLED BACK ") +
      (view.health === undefined || view.health.state === "healthy"
        ? ""
        : `health: ${view.health.state} `) +
      neutralise(view.message ?? (view.exit_code === null ? "" : `exit status ${view.exit_code}`)) +
      workNote(works.find(({ principal }) => principal === view.principal)),
    ]),
    ["RESTARTS", "TEMPLATE"],
  );
}

function phaseCell(phase: PrincipalView["phase"]): Cell {
  return phase === "failed" ? { text: phase, tone: "bad" } : phase;
}

/** For `catch`: null where nothing is counted. @throws what is no answer of the daemon's */
export function uncounted(thrown: unknown): null {
  if (thrown instanceof HttpApiError && COUNTLESS.has(thrown.code)) return null;
  throw thrown;
}
/** It has no control group now, or is gone meanwhile. */
const COUNTLESS = new Set(["no-cgroups", "no-such-principal", "not-found"]);

/** What each takes now; `-` for what nothing counts. */
export function usageTable(
  principals: readonly (PrincipalView & { readonly usage: Usage | null })[],
): string[] {
  if (principals.length === 0) return agentTable(principals);
  const of = (value: number | null | undefined, limit: number | null | undefined, unit = 1) =>
    typeof value !== "number"
      ? "-"
      : `${Math.ceil(value / unit)}${
        typeof limit === "number" ? ` of ${Math.round(limit / unit)}` : ""
      }`;
  const MIB = 2 ** 20;
  return table(
    ["AGENT", "STATE", "MEMORY MiB", "PROCESSES", "CPU s", "HELD BACK", "KILLED", "REFUSED"],
    principals.map(({ principal, phase, frozen, usage }) => [
      shortName(principal),
      phase + (frozen === true ? ", frozen" : ""),
      of(usage?.memory_bytes, usage?.memory_limit_bytes, MIB),
      of(usage?.pids, usage?.pids_limit),
      typeof usage?.cpu_ms === "number" ? (usage.cpu_ms / 1000).toFixed(1) : "-",
      of(usage?.cpu_throttled, null),
      of(usage?.oom_kills, null),
      of(usage?.pids_refused, null),
    ]),
    ["REFUSED", "HELD BACK", "KILLED"],
  );
}

function workNote(work: WorkRecord | undefined): string {
  if (work === undefined) return "";
  return ` [${lookText(work)}${work.look === undefined ? "" : `, ${ago(work.look.at)} ago`}]`;
}

/** As it was looked at last; only what is of any interest to a program. */
const repositoryOf = ({ source, branch, look }: WorkRecord) => ({
  source,
  branch,
  ...(look === undefined ? {} : { look }),
});

export const list: CommandHandler<typeof results.list> = async (call) => {
  const session = await loadSession(call);
  const works = await allRecords(call.stateDir);
  const daemon = daemonClient(call, session);
  try {
    const answer = await daemon.call("list", { signal: call.signal });
    if (call.flags["usage"] !== true) {
      for (const line of agentTable(answer.principals, works)) call.print(line);
      const kept = works.filter((work) =>
        !answer.principals.some(({ principal }) => principal === work.principal)
      );
      for (const work of kept) {
        call.print(`kept of ${shortName(work.principal)}, which is gone:${workNote(work)}`);
      }
      return {
        ...answer,
        principals: answer.principals.map((view) => {
          const work = works.find(({ principal }) => principal === view.principal);
          return work === undefined ? view : { ...view, repository: repositoryOf(work) };
        }),
        ...(kept.length === 0 ? {} : {
          kept: kept.map((work) => ({ principal: work.principal, repository: repositoryOf(work) })),
        }),
      };
    }
    const principals = await Promise.all(answer.principals.map(async (view) => {
      const params = { principal: view.principal };
      // Not running, or on a machine that does not count.
      const usage = await daemon.call("usage", { params, signal: call.signal }).catch(uncounted);
      return { ...view, usage };
    }));
    for (const line of usageTable(principals)) call.print(line);
    return { ...answer, principals };
  } finally {
    daemon.close();
  }
};

export const show: CommandHandler<typeof results.show> = async (call) => {
  const session = await loadSession(call);
  const daemon = daemonClient(call, session);
  try {
    const principal = principalOf(session, call.args[0]!);
    const view = await daemon.call("show", { params: { principal }, signal: call.signal });
    const work = await readRecord(call.stateDir, principal);
    const lines: [string, string][] = [
      ["name", view.principal],
      ["account", view.user_id],
      ["room", view.room ?? "none"],
      ...(work === null ? [] : [
        ["repository", work.source] as [string, string],
        ["branch", workNote(work).slice(2, -1)] as [string, string],
      ]),
      ["template", view.template],
      ["wanted", view.desired],
      ...(view.isolation === "none"
        ? [["isolation", "NONE: it has the launcher's rights on this machine"] as [string, string]]
        : []),
      ["state", `${view.phase}, for ${ago(view.since)}`],
      ...(view.frozen === true
        ? [["frozen", "yes; `bureau agent thaw` lets it go on"] as [string, string]]
        : []),
      ...(view.health === undefined ? [] : [[
        "health",
        `${view.health.state}, for ${ago(view.health.since)}${
          view.health.message === null ? "" : `: ${neutralise(view.health.message)}`
        }`,
      ] as [string, string]]),
      ...(view.rolled_back === undefined ? [] : [[
        "rolled back",
        `to what worked last: ${neutralise(view.rolled_back)}`,
      ] as [string, string]]),
      ...attentionLines(view, ago),
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
    return work === null ? view : { ...view, repository: repositoryOf(work) };
  } finally {
    daemon.close();
  }
};
