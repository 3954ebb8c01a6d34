// SPDX-License-Identifier: Apache-2.0

/** `egress approve` and `egress deny`: the answer to a question, or a decision beforehand. */
import { authorityOf } from "../../lib/authority.ts";
import type { DecideRequest } from "../../daemon/api.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { daemonClient, loadSession, principalOf } from "../session.ts";
import { shortName } from "../agent/list.ts";
import { changePolicy } from "./policy.ts";
import type * as results from "./results.ts";

const decide =
  (verdict: "approve" | "deny"): CommandHandler<typeof results.approve> => async (call) => {
    const session = await loadSession(call);
    const daemon = daemonClient(call, session);
    const ask = call.args[0]!;
    const agent = call.flags["agent"];
    const principal = agent === undefined ? undefined : principalOf(session, String(agent));
    const scope = readScope(call);
    try {
      if (scope.scope === "always") {
        // The policy first: what is let go afterwards has it already, and nothing hangs on the second step.
        const { pending } = await daemon.call("asks", { signal: call.signal });
        const meant = pending.filter((one) =>
          [one.id, one.host, authorityOf(one)].includes(ask.toLowerCase()) &&
          (principal === undefined || one.principal === principal)
        );
        const [one] = meant;
        if (one === undefined || meant.length > 1) throw unclear(ask, meant.length);
        const list = verdict === "approve" ? "allow" : "deny";
        await changePolicy(call, session, one.principal, { list, entry: authorityOf(one) });
      }
      const body: DecideRequest = {
        ask,
        verdict,
        ...scope,
        ...(principal === undefined ? {} : { principal }),
      };
      const answer = await daemon.call("decide", { body, signal: call.signal }).catch((thrown) => {
        // The new policy may have decided it before we could.
        if (scope.scope === "always" && thrown?.code === "not-asked") return null;
        throw thrown;
      });
      call.print(describe(verdict, scope, answer));
      return answer ?? { ask, verdict, always: true };
    } finally {
      daemon.close();
    }
  };

function unclear(ask: string, count: number): CliError {
  return count === 0
    ? new CliError("not-asked", `Cannot decide "${ask}" for good: no such question is open`, {
      status: 404,
      hint: "bureau egress allow NAME HOST, or bureau egress block NAME HOST",
    })
    : new CliError("ambiguous", `Cannot decide "${ask}": ${count} questions are open about it`, {
      hint: "name the agent with --agent, or the question by its id: bureau egress list",
    });
}

function describe(
  verdict: "approve" | "deny",
  scope: Pick<DecideRequest, "scope">,
  answer:
    | {
      principal: string;
      host: string;
      port: number;
      ask: string | null;
      expires_at: number | null;
    }
    | null,
): string {
  if (answer === null) return "decided for good, by the assignment";
  const what = `${shortName(answer.principal)} → ${authorityOf(answer)}`;
  const verb = verdict === "approve" ? "allowed" : "refused";
  if (scope.scope === "always") return `${what}: ${verb} for good, by the assignment`;
  if (answer.expires_at !== null) {
    return `${what}: ${verb} until ${new Date(answer.expires_at).toISOString()}`;
  }
  return answer.ask === null
    ? `${what}: the decision that held for a while is taken back`
    : `${what}: ${verb} this once`;
}

const UNITS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

function readScope({ flags }: Invocation): Pick<DecideRequest, "scope" | "for_ms"> {
  const time = flags["for"];
  const chosen = [flags["once"] === true, time !== undefined, flags["always"] === true];
  if (chosen.filter(Boolean).length > 1) {
    throw new CliError("usage", "Cannot decide: --once, --for and --always exclude each other");
  }
  if (flags["always"] === true) return { scope: "always" };
  if (time === undefined) return { scope: "once" };
  const match = /^(\d{1,5})(m|h|d)$/.exec(String(time));
  const ms = match === null ? NaN : Number(match[1]) * UNITS[match[2]!]!;
  if (!(ms >= UNITS["m"]! && ms <= 7 * UNITS["d"]!)) {
    throw new CliError("usage", `Cannot decide for "${time}"`, {
      hint: "30m, 1h, 2d: one minute to seven days",
    });
  }
  return { scope: "for", for_ms: ms };
}

export const approve = decide("approve");
export const deny = decide("deny");
