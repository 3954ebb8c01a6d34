// SPDX-License-Identifier: Apache-2.0

/** `notify list` and `notify test`. */
import { neutraliseLine } from "../../lib/terminal/mod.ts";
import { ago } from "../agent/list.ts";
import type { CommandHandler } from "../framework/command.ts";
import { Ended, Exit } from "../framework/exit.ts";
import { table } from "../framework/table.ts";
import { daemonClient, loadSession } from "../session.ts";
import type * as results from "./results.ts";

export const list: CommandHandler<typeof results.list> = async (call) => {
  const daemon = daemonClient(call, await loadSession(call));
  try {
    const answer = await daemon.call("notifyTargets", { signal: call.signal });
    if (answer.targets.length === 0) {
      call.print("nobody is told: `notify:` in bureau.yaml says whom, see docs/guide/attention.md");
      return answer;
    }
    const rows = answer.targets.map(({ name, where, states, waiting, quiet_now, last }) => [
      name,
      neutraliseLine(where),
      states.join(" "),
      String(waiting),
      quiet_now ? "quiet hours" : "-",
      last === null
        ? "-"
        : `${last.ok ? "taken" : neutraliseLine(last.why ?? "failed")}, ${ago(last.at)} ago`,
    ]);
    const heading = ["TARGET", "WHERE", "OF", "WAITING", "NOW", "LAST"];
    for (const line of table(heading, rows)) call.print(line);
    return answer;
  } finally {
    daemon.close();
  }
};

export const test: CommandHandler<typeof results.test> = async (call) => {
  const daemon = daemonClient(call, await loadSession(call));
  try {
    const [target] = call.args;
    const body = target === undefined ? {} : { target };
    const answer = await daemon.call("notifyTest", { body, signal: call.signal });
    for (const { name, ok, why } of answer.results) {
      call.print(`${name}: ${ok ? "taken" : neutraliseLine(why ?? "failed")}`);
    }
    return answer.results.every(({ ok }) => ok) ? answer : new Ended(answer, Exit.failed);
  } finally {
    daemon.close();
  }
};
