// SPDX-License-Identifier: Apache-2.0

/** `/v1/asks` of the daemon's socket, for operators alone. */
import { authorityOf, parseAuthority, type Target } from "../../lib/authority.ts";
import { sseResponse } from "../../lib/http/mod.ts";
import { DaemonError } from "../errors.ts";
import type { DecideAnswer, DecideRequest } from "./api.ts";
import type { EgressAsks } from "./asks.ts";
import { type Ask, MAX_TEMPORARY_MS, MIN_TEMPORARY_MS, type Scope } from "./types.ts";

/** @param request its `principal` resolved to a full localpart of this machine already */
export function decideAsk(asks: EgressAsks, request: DecideRequest, by: string): DecideAnswer {
  const scope = scopeOf(request);
  const open = asks.desk.pending.filter((ask) =>
    isMeant(ask, request.ask) &&
    (request.principal === undefined || ask.principal === request.principal)
  );
  if (open.length > 1) {
    throw new DaemonError(
      "ambiguous",
      `Cannot decide "${request.ask}": ${open.length} questions are open about it`,
      {
        status: 409,
        hint: `name one: ${open.map((ask) => `${ask.id} (${ask.principal})`).join(", ")}`,
      },
    );
  }
  const [ask] = open;
  if (ask === undefined) return withoutAsk(asks, request, scope, by);
  const decided = asks.desk.decide(ask.id, request.verdict, scope, { by, via: "cli" });
  return answer(ask, ask.id, decided?.expires_at ?? null);
}

/** Nothing is open: a rule for a while may be set beforehand, and one that holds be taken back. */
function withoutAsk(
  asks: EgressAsks,
  { ask, verdict, principal }: DecideRequest,
  scope: Scope,
  by: string,
): DecideAnswer {
  const target = parseAuthority(ask) ?? parseAuthority(`${ask}:443`);
  if (target !== null && principal !== undefined) {
    if (scope.kind === "for") {
      const until = asks.desk.setRule(principal, target, verdict === "approve", scope.ms, by);
      return answer({ principal, ...target }, null, until);
    }
    const rule = asks.desk.rules.find(principal, target);
    // `deny` takes back what was approved, `approve` what was denied.
    if (rule !== null && rule.allowed === (verdict === "deny")) {
      asks.desk.rules.remove(principal, target);
      return answer(rule, null, null);
    }
  }
  throw new DaemonError("not-asked", `Cannot decide "${ask}": no such question is open`, {
    status: 404,
    hint: "`bureau egress list` shows what is open; `--for` with `--agent` decides beforehand",
  });
}

function answer(
  { principal, host, port }: Target & { readonly principal: string },
  ask: string | null,
  expires_at: number | null,
): DecideAnswer {
  return { principal, host, port, ask, expires_at };
}

function isMeant(ask: Ask, text: string): boolean {
  const wanted = text.toLowerCase();
  return wanted === ask.id || wanted === ask.host || wanted === authorityOf(ask);
}

function scopeOf({ scope, for_ms: ms }: DecideRequest): Scope {
  if (scope !== "for") return { kind: scope };
  if (ms === undefined || !(ms >= MIN_TEMPORARY_MS && ms <= MAX_TEMPORARY_MS)) {
    throw new DaemonError("bad-time", "Cannot decide for that long", {
      status: 400,
      hint: "one minute to seven days; for longer `--always` writes it into the assignment",
    });
  }
  return { kind: "for", ms };
}

/** The whole list at once and again with each change. */
export function followAsks(asks: EgressAsks, signal: AbortSignal): Response {
  return sseResponse((send) => asks.watch(send), signal);
}
