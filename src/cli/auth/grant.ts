// SPDX-License-Identifier: Apache-2.0

/** `auth grant` and `auth revoke`: a grant in an assignment, signed. */
import { isCurrent, policyProblems } from "../../lib/authorization/mod.ts";
import type { AuthorizationPolicy, Grant } from "../../lib/schema/mod.ts";
import { editAssignment } from "../assignment.ts";
import type { CommandHandler } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { loadSession, principalOf } from "../session.ts";

const UNITS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };
const MAX_MS = 90 * UNITS["d"]!;

export const grant: CommandHandler = async (call) => {
  const session = await loadSession(call);
  const principal = principalOf(session, call.args[0]!);
  const now = Date.now();
  const targets = (call.flags["target"] ?? []) as readonly string[];
  const time = call.flags["for"];
  const made: Grant = {
    actions: call.args.slice(1),
    ...(targets.length === 0 ? {} : { targets: [...targets] }),
    ...(time === undefined
      ? {}
      : { expires_at: new Date(now + readTime(String(time))).toISOString() }),
    ticket: crypto.randomUUID().slice(0, 8),
    granted_by: session.user_id,
    granted_at: new Date(now).toISOString(),
  };
  const problems = policyProblems({ grants: [made] });
  if (problems.length > 0) {
    throw new CliError("usage", `Cannot grant that: ${problems.join("; ")}`);
  }
  await editAssignment(
    call,
    session,
    principal,
    ({ authorization }) => ({ authorization: withGrant(authorization, made, now) }),
  );
  const until = made.expires_at === undefined ? "" : ` until ${made.expires_at}`;
  call.print(`${principal} may ${made.actions.join(", ")}${until} (ticket ${made.ticket})`);
  return { principal, grant: made };
};

export const revoke: CommandHandler = async (call) => {
  const session = await loadSession(call);
  const principal = principalOf(session, call.args[0]!);
  const actions = call.args.slice(1);
  const ticket = call.flags["ticket"] as string | undefined;
  if (actions.length === 0 && ticket === undefined) {
    throw new CliError("usage", "Cannot revoke: name actions, or a grant with --ticket");
  }
  let revoked = 0;
  await editAssignment(call, session, principal, ({ authorization }) => {
    const result = withoutGrants(authorization, { actions, ticket }, Date.now());
    revoked = result.revoked;
    return revoked === 0 ? {} : { authorization: result.policy };
  });
  if (revoked === 0) {
    throw new CliError(
      "not-granted",
      `Cannot revoke that: the assignment of "${principal}" has no such grant`,
      { status: 404, hint: "`bureau auth grants NAME` shows where each comes from" },
    );
  }
  call.print(`revoked in the assignment of ${principal}, from now on`);
  return { principal, actions, ticket: ticket ?? null, revoked };
};

/** Those that ran out leave with the next change. */
export function withGrant(
  policy: AuthorizationPolicy | undefined,
  made: Grant,
  now: number,
): AuthorizationPolicy {
  return { ...policy, grants: [...current(policy, now), made] };
}

/** @returns how many actions (or, by ticket, grants) were taken out */
export function withoutGrants(
  policy: AuthorizationPolicy | undefined,
  { actions, ticket }: { actions: readonly string[]; ticket: string | undefined },
  now: number,
): { policy: AuthorizationPolicy | undefined; revoked: number } {
  let revoked = 0;
  const grants = current(policy, now).flatMap((one) => {
    if (ticket !== undefined && one.ticket !== ticket) return [one];
    const kept = actions.length === 0
      ? []
      : one.actions.filter((action) => !actions.includes(action));
    revoked += actions.length === 0 ? 1 : one.actions.length - kept.length;
    return kept.length === 0 ? [] : [{ ...one, actions: kept }];
  });
  const { grants: _, ...rest } = policy ?? {};
  const left = { ...rest, ...(grants.length === 0 ? {} : { grants }) };
  return { policy: Object.keys(left).length === 0 ? undefined : left, revoked };
}

function current(policy: AuthorizationPolicy | undefined, now: number): Grant[] {
  return (policy?.grants ?? []).filter((one) => isCurrent(one.expires_at, now));
}

function readTime(text: string): number {
  const match = /^(\d{1,6})(m|h|d)$/.exec(text);
  const ms = match === null ? NaN : Number(match[1]) * UNITS[match[2]!]!;
  if (ms >= UNITS["m"]! && ms <= MAX_MS) return ms;
  throw new CliError("usage", `Cannot grant for "${text}"`, {
    hint: "30m, 1h, 2d: one minute to 90 days",
  });
}
