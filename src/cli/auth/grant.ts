// SPDX-License-Identifier: Apache-2.0

/** `auth grant`, `deny`, `allow` and `revoke`: rules in an assignment, signed. */
import { isCurrent, policyProblems, stillHolds } from "../../lib/authorization/mod.ts";
import type { Allowance, AuthorizationPolicy, Denial, Grant } from "../../lib/schema/mod.ts";
import { editAssignment } from "../assignment.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { loadSession, type OperatorSession, principalOf } from "../session.ts";
import { userOf } from "./names.ts";
import type * as results from "./results.ts";

const UNITS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };
const MAX_MS = 90 * UNITS["d"]!;

/** As an assignment has them. */
export const LISTS = ["grants", "denials", "allowances", "allowance_denials"] as const;
export type List = typeof LISTS[number];
type Rule = Grant | Denial | Allowance;

export const grant: CommandHandler<typeof results.grant> = async (call) => {
  const { principal, made } = await write(call, () => ({ list: "grants", whom: targetsOf(call) }));
  call.print(`${principal} may ${said(made)}`);
  return { principal, grant: made };
};

export const deny: CommandHandler<typeof results.deny> = async (call) => {
  const { principal, made } = await write(call, (session) => {
    const by = actorsOf(call, session);
    const whom = targetsOf(call);
    if (by === null) return { list: "denials", whom };
    if ("targets" in whom) {
      throw new CliError("usage", "Cannot deny: --by says who may not, --target to whom: not both");
    }
    return { list: "allowance_denials", whom: by };
  });
  const by = "actors" in made ? `to ${principal}, by ${made.actors.join(", ")}` : `to ${principal}`;
  call.print(`denied ${by}: ${said(made)}`);
  return { principal, denial: made };
};

export const allow: CommandHandler<typeof results.allow> = async (call) => {
  const { principal, made } = await write(call, (session) => {
    const by = actorsOf(call, session);
    if (by !== null) return { list: "allowances", whom: by };
    throw new CliError("usage", "Cannot allow: say with --by who may", {
      hint: "what the agent itself may do: `bureau auth grant`",
    });
  });
  const by = "actors" in made ? made.actors.join(", ") : "";
  call.print(`${by} may, on ${principal}: ${said(made)}`);
  return { principal, allowance: made };
};

function said({ actions, expires_at: end, ticket }: Rule): string {
  return `${actions.join(", ")}${end === undefined ? "" : ` until ${end}`} (ticket ${ticket})`;
}

function targetsOf(call: Invocation): { targets?: string[] } {
  const targets = (call.flags["target"] ?? []) as readonly string[];
  return targets.length === 0 ? {} : { targets: [...targets] };
}

/** User-id patterns; a plain name is taken for an agent, `me` for oneself. */
function actorsOf(call: Invocation, session: OperatorSession): { actors: string[] } | null {
  const given = (call.flags["by"] ?? []) as readonly string[];
  if (given.length === 0) return null;
  return {
    actors: given.map((one) => {
      const pattern = one.includes(":") ? one : userOf(session, one);
      return pattern.startsWith("@") ? pattern.slice(1) : pattern;
    }),
  };
}

async function write(
  call: Invocation,
  shape: (session: OperatorSession) => {
    readonly list: List;
    readonly whom: { targets?: string[] } | { actors: string[] };
  },
): Promise<{ principal: string; made: Rule }> {
  const session = await loadSession(call);
  const principal = principalOf(session, call.args[0]!);
  const { list, whom } = shape(session);
  const now = Date.now();
  const time = call.flags["for"];
  const made: Rule = {
    actions: call.args.slice(1),
    ...whom,
    ...(time === undefined
      ? {}
      : { expires_at: new Date(now + readTime(String(time))).toISOString() }),
    ticket: crypto.randomUUID().slice(0, 8),
    granted_by: session.user_id,
    granted_at: new Date(now).toISOString(),
  };
  const problems = policyProblems({ [list]: [made] });
  if (problems.length > 0) throw new CliError("usage", `Cannot write that: ${problems.join("; ")}`);
  await editAssignment(
    call,
    session,
    principal,
    ({ authorization }) => ({ authorization: withRule(authorization, list, made, now) }),
  );
  return { principal, made };
}

const KINDS: Readonly<Record<string, List>> = {
  grant: "grants",
  denial: "denials",
  allowance: "allowances",
  "allowance-denial": "allowance_denials",
};

export const revoke: CommandHandler<typeof results.revoke> = async (call) => {
  const session = await loadSession(call);
  const principal = principalOf(session, call.args[0]!);
  const actions = call.args.slice(1);
  const ticket = call.flags["ticket"] as string | undefined;
  const kind = call.flags["kind"] as string | undefined;
  if (actions.length === 0 && ticket === undefined) {
    throw new CliError("usage", "Cannot revoke: name actions, or a rule with --ticket");
  }
  if (kind !== undefined && !Object.hasOwn(KINDS, kind)) {
    throw new CliError("usage", `Cannot revoke a "${kind}": ${Object.keys(KINDS).join(", ")}`);
  }
  // A ticket names one rule, whatever it is; actions without a word mean what was granted.
  const lists = kind !== undefined
    ? [KINDS[kind]!]
    : ticket !== undefined
    ? LISTS
    : ["grants" as const];
  let revoked = 0;
  await editAssignment(call, session, principal, ({ authorization }) => {
    const result = withoutRules(authorization, { lists, actions, ticket }, Date.now());
    revoked = result.revoked;
    return revoked === 0 ? {} : { authorization: result.policy };
  });
  if (revoked === 0) {
    throw new CliError(
      "not-granted",
      `Cannot revoke that: the assignment of "${principal}" has no such ${kind ?? "rule"}`,
      { status: 404, hint: "`bureau auth grants|allowances NAME` shows where each comes from" },
    );
  }
  call.print(`revoked in the assignment of ${principal}, from now on`);
  return { principal, actions, ticket: ticket ?? null, revoked };
};

/** Those of the same kind that ran out leave with the next change. */
export function withRule(
  policy: AuthorizationPolicy | undefined,
  list: List,
  made: Rule,
  now: number,
): AuthorizationPolicy {
  return { ...policy, [list]: [...current(policy, list, now), made] };
}

/** @returns how many actions (or, by ticket, rules) were taken out */
export function withoutRules(
  policy: AuthorizationPolicy | undefined,
  { lists, actions, ticket }: {
    readonly lists: readonly List[];
    readonly actions: readonly string[];
    readonly ticket: string | undefined;
  },
  now: number,
): { policy: AuthorizationPolicy | undefined; revoked: number } {
  let revoked = 0;
  let left: AuthorizationPolicy = { ...policy };
  for (const list of lists) {
    const rules = current(policy, list, now).flatMap((one) => {
      if (ticket !== undefined && one.ticket !== ticket) return [one];
      const kept = actions.length === 0
        ? []
        : one.actions.filter((action) => !actions.includes(action));
      revoked += actions.length === 0 ? 1 : one.actions.length - kept.length;
      return kept.length === 0 ? [] : [{ ...one, actions: kept }];
    });
    const { [list]: _, ...rest } = left;
    left = { ...rest, ...(rules.length === 0 ? {} : { [list]: rules }) };
  }
  return { policy: Object.keys(left).length === 0 ? undefined : left, revoked };
}

function current(policy: AuthorizationPolicy | undefined, list: List, now: number): Rule[] {
  const holds = list === "grants" || list === "allowances" ? isCurrent : stillHolds;
  return [...policy?.[list] ?? []].filter((one) => holds(one.expires_at, now));
}

function readTime(text: string): number {
  const match = /^(\d{1,6})(m|h|d)$/.exec(text);
  const ms = match === null ? NaN : Number(match[1]) * UNITS[match[2]!]!;
  if (ms >= UNITS["m"]! && ms <= MAX_MS) return ms;
  throw new CliError("usage", `Cannot grant for "${text}"`, {
    hint: "30m, 1h, 2d: one minute to 90 days",
  });
}
