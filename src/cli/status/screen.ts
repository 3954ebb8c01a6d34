// SPDX-License-Identifier: Apache-2.0

/** The one screen of `status`: what runs, what needs somebody, the agents, the worst first. */
import type { DaemonStatus } from "../../daemon/api.ts";
import { BureauError } from "../../lib/errors.ts";
import { neutralise, neutraliseLine } from "../../lib/terminal/mod.ts";
import type { SupervisorStatus } from "../../supervisor/api.ts";
import { agentTable, ago } from "../agent/list.ts";
import { askTable } from "../egress/list.ts";
import { asCalled } from "../framework/called.ts";
import { table } from "../framework/table.ts";
import type { Snapshot } from "./gather.ts";
import { type Need, needsOf } from "./needs.ts";

export interface Size {
  readonly rows: number;
  readonly columns: number;
}

/** Of a small screen: what needs somebody has so many lines at most, agents the rest. */
const MAX_NEEDS = 4;
const FEWEST_AGENTS = 3;

/**
 * @param size of the terminal that it must fit; null: as long as it is
 * @returns made harmless to show
 */
export function screen(snapshot: Snapshot, size: Size | null): string[] {
  const { supervisor, daemon } = snapshot;
  const status = daemon === null || daemon instanceof BureauError ? null : daemon;
  const head = [
    ...(supervisor === null ? [] : headOf(supervisor)),
    ...homeserverLines(snapshot),
    ...(status === null ? [] : daemonLines(status)),
    "",
    ...(supervisor === null ? [] : processLines(supervisor, size !== null)),
  ];
  const needs = needsOf(snapshot);
  const agents = status === null ? [] : agentTable(status.principals);
  if (size === null) {
    const asks = status === null ? [] : askTable(status.asks);
    return [
      ...head,
      ...needLines(needs, needs.length),
      ...agents,
      ...(asks.length === 0 ? [] : [""]),
      ...asks,
    ];
  }
  // One line stays for the shell's prompt.
  const left = size.rows - 1 - head.length;
  const shown = needLines(
    needs,
    Math.max(1, Math.min(MAX_NEEDS, Math.floor((left - FEWEST_AGENTS - 3) / 2))),
  );
  const lines = [
    ...head,
    ...shown,
    ...firstOf(agents, Math.max(FEWEST_AGENTS, left - shown.length)),
  ];
  return lines.map((line) =>
    line.length <= size.columns ? line : `${line.slice(0, size.columns - 1)}…`
  );
}

function headOf(supervisor: SupervisorStatus): string[] {
  const { state, started_at, pid, message, state_dir } = supervisor;
  return [
    `bureau       ${state}, for ${ago(started_at)}, supervisor pid ${pid}`,
    ...(message === null ? [] : [`             ${neutralise(message)}`]),
    ...releaseLines(supervisor).map((line) => `release      ${neutralise(line)}`),
    `state        ${state_dir}`,
  ];
}

function homeserverLines({ homeserver, supervisor }: Snapshot): string[] {
  if (homeserver === null) return [`homeserver   ${supervisor?.homeserver_url ?? "not known yet"}`];
  const { url, reachable, latency_ms, version } = homeserver;
  return [
    reachable
      ? `homeserver   ${url}, Matrix ${neutraliseLine(version ?? "?")}, ${latency_ms} ms`
      : `homeserver   ${url} DOES NOT ANSWER`,
  ];
}

/** Nothing while the build runs that `up` brought, and no other was tried. */
function releaseLines({ release }: SupervisorStatus): string[] {
  if (release === undefined) return [];
  const { current, updating, outcome, note } = release;
  return [
    ...(current === null ? [] : [current]),
    ...(updating === null
      ? []
      : [`upgrading to ${updating.to}: the ${updating.step} is being replaced`]),
    ...(outcome === null || outcome.ok
      ? []
      : [`the upgrade to ${outcome.to} failed ${ago(outcome.at)} ago: ${outcome.message}`]),
    ...(note === null ? [] : [note]),
  ];
}

function daemonLines({ machine, sync }: DaemonStatus): string[] {
  const since = sync.last_ok === null ? "never" : `${ago(sync.last_ok)} ago`;
  const why = sync.state === "ok" ? "" : `, last ${since}: ${neutralise(sync.message ?? "")}`;
  return [`machine      ${machine}`, `sync         ${sync.state}${why}`];
}

/** On a small screen one line where all is as it should be. */
function processLines({ processes }: SupervisorStatus, small: boolean): string[] {
  if (small && processes.length > 0 && processes.every(({ state }) => state === "running")) {
    const names = processes.map(({ name, restarts }) =>
      restarts === 0 ? name : `${name} (restarted ${restarts}×)`
    );
    return [`processes    all ${processes.length} run: ${names.join(", ")}`, ""];
  }
  const rows = processes.map((process) => [
    process.name,
    process.state,
    process.pid === null ? "-" : String(process.pid),
    process.started_at === null ? "-" : ago(process.started_at),
    String(process.restarts),
    neutralise(process.message ?? ""),
  ]);
  return [...table(["PROCESS", "STATE", "PID", "SINCE", "RESTARTS", "NOTE"], rows), ""];
}

/** Two lines each: what it is, and what to do next. */
function needLines(needs: readonly Need[], limit: number): string[] {
  if (needs.length === 0) return [];
  const words = { bad: "BAD", waits: "WAITS", soon: "SOON" } as const;
  const rest = needs.length - limit;
  return [
    ...needs.slice(0, limit).flatMap(({ kind, subject, message, next }) => [
      `${words[kind].padEnd(5)}  ${neutraliseLine(`${subject}: ${message}`)}`,
      `       → ${neutraliseLine(asCalled(next))}`,
    ]),
    ...(rest > 0
      ? [asCalled(`       and ${rest} more that need somebody: bureau status | less`)]
      : []),
    "",
  ];
}

/** The heading is one of them. */
function firstOf(agents: readonly string[], limit: number): readonly string[] {
  if (agents.length <= limit) return agents;
  const shown = agents.slice(0, limit - 1);
  return [...shown, asCalled(`and ${agents.length - shown.length} more: bureau agent list`)];
}
