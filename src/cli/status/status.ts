// SPDX-License-Identifier: Apache-2.0

/** `status`: one screen of truth from the supervisor and the daemon. */
import type { DaemonStatus } from "../../daemon/api.ts";
import { BureauError } from "../../lib/errors.ts";
import { createClient } from "../../lib/http/mod.ts";
import { neutralise } from "../../lib/terminal/mod.ts";
import { supervisorApi, type SupervisorStatus } from "../../supervisor/api.ts";
import { agentTable, ago } from "../agent/list.ts";
import { askTable } from "../egress/list.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { table } from "../framework/table.ts";
import { daemonClient, isUnreachable, loadSession } from "../session.ts";
import { describePermissions } from "./permissions.ts";
import type * as results from "./results.ts";

export const status: CommandHandler<typeof results.status> = async (call) => {
  if (call.flags["permissions"] === true) return await describePermissions(call);
  const supervisor = await supervisorStatus(call);
  const daemon = await daemonStatus(call);
  if (supervisor === null && daemon === null) {
    throw new CliError("not-running", `Bureau is not running (run directory "${call.runDir}")`, {
      hint: "start it with `deno task up`",
    });
  }
  if (supervisor !== null) printProcesses(call, supervisor);
  if (daemon instanceof BureauError) {
    call.print(`daemon       ${neutralise(daemon.message)}`);
    if (daemon.hint !== undefined) call.print(`             ${neutralise(daemon.hint)}`);
  } else if (daemon !== null) printDaemon(call, daemon);
  else {call.print(
      "daemon       does not answer; its NOTE above says why, and it is restarted by itself",
    );}
  return {
    supervisor,
    daemon: daemon instanceof BureauError ? daemon.toBody() : daemon,
  };
};

async function supervisorStatus(call: Invocation): Promise<SupervisorStatus | null> {
  const client = createClient(supervisorApi, { socket: `${call.runDir}/up/up.sock` });
  try {
    return await client.call("status", { signal: call.signal });
  } catch (thrown) {
    if (isUnreachable(thrown)) return null;
    throw thrown;
  } finally {
    client.close();
  }
}

/** Null: nothing answers. An error: it answers, but not with a status. */
async function daemonStatus(call: Invocation): Promise<DaemonStatus | BureauError | null> {
  try {
    const session = await loadSession(call);
    const client = daemonClient(call, session);
    try {
      return await client.call("status", { signal: call.signal });
    } finally {
      client.close();
    }
  } catch (thrown) {
    if (isUnreachable(thrown)) return null;
    if (thrown instanceof CliError && thrown.code === "not-running") return null;
    if (thrown instanceof BureauError) return thrown;
    throw thrown;
  }
}

function printProcesses(call: Invocation, supervisor: SupervisorStatus): void {
  call.print(
    `bureau       ${supervisor.state}, for ${
      ago(supervisor.started_at)
    }, supervisor pid ${supervisor.pid}`,
  );
  if (supervisor.message !== null) call.print(`             ${neutralise(supervisor.message)}`);
  for (const line of releaseLines(supervisor)) call.print(`release      ${neutralise(line)}`);
  call.print(`homeserver   ${supervisor.homeserver_url ?? "not known yet"}`);
  call.print(`state        ${supervisor.state_dir}`);
  call.print("");
  const rows = supervisor.processes.map((process) => [
    process.name,
    process.state,
    process.pid === null ? "-" : String(process.pid),
    process.started_at === null ? "-" : ago(process.started_at),
    String(process.restarts),
    neutralise(process.message ?? ""),
  ]);
  for (const line of table(["PROCESS", "STATE", "PID", "SINCE", "RESTARTS", "NOTE"], rows)) {
    call.print(line);
  }
  call.print("");
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

function printDaemon(call: Invocation, daemon: DaemonStatus): void {
  const since = daemon.sync.last_ok === null ? "never" : `${ago(daemon.sync.last_ok)} ago`;
  call.print(`machine      ${daemon.machine}`);
  call.print(
    `sync         ${daemon.sync.state}${
      daemon.sync.state === "ok" ? "" : `, last ${since}: ${neutralise(daemon.sync.message ?? "")}`
    }`,
  );
  if (!daemon.launcher.connected) call.print("launcher     the daemon has no connection to it");
  call.print("");
  for (const line of agentTable(daemon.principals)) call.print(line);
  if (daemon.asks.length === 0) return;
  call.print("");
  for (const line of askTable(daemon.asks)) call.print(line);
  call.print("answer with: bureau egress approve ASK, or bureau egress deny ASK");
}
