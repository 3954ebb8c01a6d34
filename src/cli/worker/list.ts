// SPDX-License-Identifier: Apache-2.0

/** `worker list`. */
import type { WorkerList, WorkerView } from "../../agent/host/api.ts";
import { neutraliseLine } from "../../lib/terminal/neutralise.ts";
import { ago } from "../agent/list.ts";
import type { CommandHandler } from "../framework/command.ts";
import { table } from "../framework/table.ts";
import { askHost, leftBehind } from "./host.ts";

export const list: CommandHandler<typeof WorkerList> = async (call) => {
  const answer = await askHost(call, (client) => client.call("list", { signal: call.signal })) ??
    { workers: await leftBehind(call) };
  for (const line of workerTable(answer.workers)) call.print(line);
  return answer;
};

function workerTable(workers: readonly WorkerView[]): string[] {
  if (workers.length === 0) return ["no workers; `bureau worker spawn` starts one"];
  return table(
    ["WORKER", "EXECUTOR", "ROLE", "STATE", "SINCE", "RUNS", "LAST", "NOTE"],
    workers.map((view) => [
      view.name,
      view.executor,
      neutraliseLine(view.role) || "-",
      view.state,
      ago(view.since),
      String(view.runs),
      view.last ?? "-",
      note(view),
    ]),
    ["ROLE", "EXECUTOR"],
  );
}

function note({ state, live, reason }: WorkerView): string {
  if (state === "ended") return neutraliseLine(reason ?? "");
  return live ? "" : "does not answer";
}
