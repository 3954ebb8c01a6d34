// SPDX-License-Identifier: Apache-2.0

/** `worker stop`. */
import type { Stopped, WorkerView } from "../../agent/host/api.ts";
import { nearest } from "../../lib/near.ts";
import type { Destroyer } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { askHost, leftBehind } from "./host.ts";

export const stop: Destroyer<typeof Stopped> = async (call) => {
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
  return {
    what: `stop ${name ?? "all workers"}`,
    lines: live.map(({ name, state }) => state === "running" ? `${name}, and what it runs` : name),
    harmless: live.length === 0,
    run: async () => {
      // Without a live one nothing is lost, and the host goes.
      if (isAll && found !== null) {
        await askHost(call, (client) => client.call("stopAll", { signal: call.signal }));
      } else if (name !== undefined && live.length > 0) {
        const stop = { params: { name }, signal: call.signal };
        await askHost(call, (client) => client.call("stop", stop));
      }
      for (const view of named) {
        call.print(
          view.state === "ended" ? `${view.name} had ended already` : `${view.name} has ended`,
        );
      }
      if (named.length === 0) call.print("no workers");
      return { stopped: named.map((view) => view.name) };
    },
  };
};

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
