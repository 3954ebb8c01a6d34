// SPDX-License-Identifier: Apache-2.0

/** `worker stop`. */
import type { Stopped, WorkerView } from "../../agent/host/api.ts";
import { nearest } from "../../lib/near.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { askHost, leftBehind } from "./host.ts";

export const stop: CommandHandler<typeof Stopped> = async (call) => {
  const name = call.args[0];
  const isAll = call.flags["all"] === true;
  if ((name === undefined) !== isAll) {
    throw new CliError("usage", "Cannot stop: say which worker, or --all");
  }
  const found = await askHost(call, (client) => client.call("list", { signal: call.signal }));
  const workers = found?.workers ?? await leftBehind(call);
  const named = name === undefined
    ? workers
    : workers.filter((view) => view.name === name || view.pool === name);
  if (name !== undefined && named.length === 0) throw unknown(name, workers);
  const live = named.filter(({ state }) => state !== "ended");
  if (live.length > 0) {
    confirm(call, name, live);
    await askHost(
      call,
      (client) =>
        name === undefined
          ? client.call("stopAll", { signal: call.signal })
          : client.call("stop", { params: { name }, signal: call.signal }),
    );
  } else if (isAll && found !== null) {
    // Nothing is lost by it, and the host goes.
    await askHost(call, (client) => client.call("stopAll", { signal: call.signal }));
  }
  for (const view of named) {
    call.print(
      view.state === "ended" ? `${view.name} had ended already` : `${view.name} has ended`,
    );
  }
  if (named.length === 0) call.print("no workers");
  return { stopped: named.map((view) => view.name) };
};

function confirm(call: Invocation, name: string | undefined, live: readonly WorkerView[]): void {
  if (call.flags["yes"] === true) return;
  const what = name ?? "all workers";
  if (!Deno.stdin.isTerminal()) {
    throw new CliError("usage", `Cannot stop ${what} without being told so`, { hint: "add --yes" });
  }
  const running = live.filter(({ state }) => state === "running").length;
  const loss = running === 0
    ? ""
    : `, with ${running} that ${running === 1 ? "has a run" : "have runs"}`;
  if (prompt(`Stop ${what}${loss}? Type yes:`)?.trim() !== "yes") {
    throw new CliError("cancelled", "Cancelled: nothing was changed");
  }
}

function unknown(name: string, workers: readonly WorkerView[]): CliError {
  const names = workers.flatMap(({ name, pool }) => pool === null ? [name] : [pool]);
  const near = nearest(name, names);
  return new CliError("unknown-worker", `Cannot stop "${name}": there is no such worker`, {
    status: 404,
    hint: near === undefined
      ? "`bureau worker list` shows those that there are"
      : `did you mean ${near}?`,
  });
}
