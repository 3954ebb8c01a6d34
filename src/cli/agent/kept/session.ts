// SPDX-License-Identifier: Apache-2.0

/** `agent session`: what an agent is at, and was; its log. */
import { neutralise } from "../../../lib/terminal/mod.ts";
import type { Metrics, Session } from "../../../services/agent/api.ts";
import type { CommandHandler } from "../../framework/command.ts";
import { CliError } from "../../framework/exit.ts";
import type * as results from "./results.ts";
import { table } from "../../framework/table.ts";
import { emitLines, limitOf, time, withService } from "./client.ts";

export const session: CommandHandler<typeof results.session> = (call) =>
  withService(call, async (service, agent) => {
    const { signal } = call;
    const named = call.flags["session"];
    if (call.flags["log"] === true) {
      const id = named === undefined ? await latest() : String(named);
      const params = { agent, session: id };
      await emitLines(call, await service.stream("log", { params, signal }));
      return undefined;
    }
    if (named !== undefined) {
      const params = { agent, session: String(named) };
      const one = await service.call("session", { params, signal });
      for (const line of describe(one)) call.print(line);
      return one;
    }
    const query = { limit: limitOf(call) };
    const found = await service.call("sessions", { params: { agent }, query, signal });
    if (found.sessions.length === 0) call.print("no sessions are kept of it");
    else {
      const rows = found.sessions.map((one) => [
        neutralise(one.session_id),
        neutralise(one.program ?? "-"),
        time(one.started_at),
        one.outcome ?? "goes on",
        `${one.metrics.turns} turns, ${one.metrics.tool_calls} tool calls, ${money(one.metrics)}`,
      ]);
      for (const line of table(["SESSION", "PROGRAM", "BEGAN", "", ""], rows)) call.print(line);
    }
    return found;

    async function latest(): Promise<string> {
      const query = { limit: "1" };
      const { active, sessions } = await service.call("sessions", {
        params: { agent },
        query,
        signal,
      });
      const one = active ?? sessions[0];
      if (one !== undefined) return one.session_id;
      throw new CliError("no-session", "Cannot show a log: no sessions are kept of it", {
        status: 404,
      });
    }
  });

function describe(one: Session): string[] {
  const { metrics } = one;
  const rows: [string, string][] = [
    ["session", one.session_id],
    ["program", one.program ?? "-"],
    ["began", time(one.started_at)],
    ["ended", one.ended_at === null ? "it goes on" : `${time(one.ended_at)}, ${one.outcome}`],
    ["log", `${one.log_bytes} bytes, ${one.log_kept} of them kept`],
    ["took", tookLine(metrics)],
  ];
  return rows.map(([name, value]) => `${name.padEnd(12)} ${neutralise(value)}`);
}

/** In a line. */
export function tookLine(metrics: Metrics): string {
  const count = (value: number) => value.toLocaleString("en");
  const errors = metrics.errors + metrics.tool_errors;
  return `${count(metrics.turns)} turns in ${Math.round(metrics.working_ms / 1000)} s, ${
    count(metrics.tool_calls)
  } tool calls, ${count(errors)} errors; ${count(metrics.input_tokens)} tokens in, ${
    count(metrics.output_tokens)
  } out, ${money(metrics)}`;
}

const money = ({ usd }: Metrics) => `$${usd.toFixed(usd < 1 ? 4 : 2)}`;
