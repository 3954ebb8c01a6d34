// SPDX-License-Identifier: Apache-2.0

/**
 * `agent metrics`: what an agent's requests took, by its proxy's count: by model, and against its budgets; and what its
 * sessions took, by its own word, where the agent service keeps them.
 */
import { HttpApiError } from "../../lib/http/mod.ts";
import type { MetricsAnswer } from "../../services/agent/api.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { daemonClient, loadSession, type OperatorSession, principalOf } from "../session.ts";
import { agentId, agentService } from "./kept/client.ts";
import { tookLine } from "./kept/session.ts";
import type * as results from "./kept/results.ts";

export const metrics: CommandHandler<typeof results.metrics> = async (call) => {
  const session = await loadSession(call);
  const daemon = daemonClient(call, session);
  try {
    const params = { principal: principalOf(session, call.args[0]!) };
    const now = await daemon.call("agentMetrics", { params, signal: call.signal });
    const { proxy } = now;
    const count = (value: number) => Math.round(value).toLocaleString("en");
    const money = (value: number) => `$${value.toFixed(value < 1 ? 4 : 2)}`;
    const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
    call.print(
      proxy === null
        ? "requests     its proxy does not run"
        : `requests     ${count(proxy.requests)}, of these ${count(proxy.refused)} refused and ${
          count(proxy.upstream_errors)
        } failed; ${mib(proxy.bytes_in)} out, ${mib(proxy.bytes_out)} in`,
    );
    for (const { window, taken, cap } of now.windows) {
      const limits = [
        cap?.tokens === undefined ? null : `${count(cap.tokens)} tokens`,
        cap?.input_tokens === undefined ? null : `${count(cap.input_tokens)} in`,
        cap?.output_tokens === undefined ? null : `${count(cap.output_tokens)} out`,
        cap?.cost_usd === undefined ? null : money(cap.cost_usd),
      ].filter((limit) => limit !== null);
      call.print(
        `${
          `this ${window}`.replace("this hour", "last hour").replace("this day", "last day").padEnd(
            12,
          )
        } ${count(taken.input)} tokens in, ${count(taken.output)} out, ${money(taken.cost)}${
          limits.length === 0 ? "" : `; budget ${limits.join(", ")}`
        }`,
      );
    }
    for (const model of now.models) {
      const notes = [
        model.cache_read > 0 ? `${count(model.cache_read)} from the cache` : null,
        model.estimated > 0 ? `${count(model.estimated)} estimated` : null,
        model.unpriced > 0 ? "price not known: the dearest was taken" : null,
      ].filter((note) => note !== null);
      call.print(
        `${model.model}  ${count(model.requests)} requests, ${count(model.input)} in, ${
          count(model.output)
        } out, ${money(model.cost)}${notes.length === 0 ? "" : ` (${notes.join("; ")})`}`,
      );
    }
    const sessions = await sessionsOf(call, session);
    if (sessions !== null && sessions.sessions > 0) {
      call.print(`${"sessions".padEnd(12)} ${sessions.sessions}: ${tookLine(sessions.total)}`);
    }
    return { ...now, sessions };
  } finally {
    daemon.close();
  }
};

/** Null: nobody keeps them, or not for this reader. */
async function sessionsOf(
  call: Invocation,
  session: OperatorSession,
): Promise<MetricsAnswer | null> {
  const service = agentService(call, session);
  try {
    const params = { agent: agentId(session, call.args[0]!) };
    return await service.call("metrics", { params, signal: call.signal });
  } catch (thrown) {
    if (!(thrown instanceof HttpApiError)) throw thrown;
    if (!["role-unbound", "forbidden", "not-granted"].includes(thrown.code)) {
      call.print(`${"sessions".padEnd(12)} ${thrown.message}`);
    }
    return null;
  } finally {
    service.close();
  }
}
