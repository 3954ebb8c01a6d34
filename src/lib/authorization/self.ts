// SPDX-License-Identifier: Apache-2.0

/**
 * What a principal may ask of its own proxy. A proxy process imports this file (and through it
 * `lib/glob`) and no schema library.
 */
import { isGlob, matchGlob } from "../glob/glob.ts";
import type { Allowance, Denial, Grant, ProxyPolicy } from "../schema/events.ts";

export type Reason =
  | "allowed"
  | "no matching grant"
  | "matching grant expired"
  | "explicit denial"
  | "no matching allowance on target"
  | "explicit allowance denial on target";

/** The answer, and the rule that gave it. */
export interface Decision {
  readonly allowed: boolean;
  readonly reason: Reason;
  /** The grant that matched, even when something else then refused. */
  readonly grant?: Grant;
  readonly denial?: Denial;
  readonly allowance?: Allowance;
  readonly allowanceDenial?: Allowance;
}

/**
 * Decides an action that has no target, so a rule's targets don't matter: a grant counts whatever they
 * are, and so does a denial.
 * @param nowMs milliseconds since the epoch, from a `Clock`
 */
export function checkSelf(policy: ProxyPolicy, action: string, nowMs: number): Decision {
  return checkActor(policy, action, nowMs, () => true);
}

/**
 * The actor's side of a decision. `onTarget` says whether a rule's targets cover the one asked for;
 * what it says of a malformed pattern must be true for denials and false for grants.
 */
export function checkActor(
  policy: ProxyPolicy,
  action: string,
  nowMs: number,
  onTarget: (targets: readonly string[] | undefined, side: "grant" | "denial") => boolean,
): Decision {
  const matching = policy.grants.filter((grant) =>
    grantsAction(grant.actions, action) && onTarget(grant.targets, "grant")
  );
  const grant = matching.find((candidate) => isCurrent(candidate.expires_at, nowMs));
  if (grant === undefined) {
    const expired = matching[0];
    return expired === undefined
      ? { allowed: false, reason: "no matching grant" }
      : { allowed: false, reason: "matching grant expired", grant: expired };
  }
  const denial = policy.denials.find((candidate) =>
    stillHolds(candidate.expires_at, nowMs) && deniesAction(candidate.actions, action) &&
    onTarget(candidate.targets, "denial")
  );
  if (denial !== undefined) return { allowed: false, reason: "explicit denial", grant, denial };
  return { allowed: true, reason: "allowed", grant };
}

/** For rules that allow: a malformed pattern matches nothing. */
export function grantsAction(patterns: readonly string[], action: string): boolean {
  return patterns.some((pattern) => matchGlob(pattern, action));
}

/** For rules that refuse: a malformed pattern matches everything, or a typing error would allow. */
export function deniesAction(patterns: readonly string[], action: string): boolean {
  return patterns.some((pattern) => !isGlob(pattern) || matchGlob(pattern, action));
}

/** True while a grant runs. No expiry: for ever. One that can't be read: never. */
export function isCurrent(expiresAt: string | undefined, nowMs: number): boolean {
  return expiresAt === undefined || nowMs < parseExpiry(expiresAt);
}

/** True while a refusal holds. No end, or one that can't be read: for ever, or a typing error would allow. */
export function stillHolds(expiresAt: string | undefined, nowMs: number): boolean {
  if (expiresAt === undefined) return true;
  const end = parseExpiry(expiresAt);
  return end === -Infinity || nowMs < end;
}

const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/;

/** Milliseconds since the epoch of an RFC 3339 time, or `-Infinity`, long past, when it is none. */
export function parseExpiry(text: string): number {
  const match = RFC3339.exec(text);
  if (match === null) return -Infinity;
  // Date.parse rolls 30 February over into March: a typing error must not lengthen a grant.
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  if (day > new Date(Date.UTC(year, month, 0)).getUTCDate()) return -Infinity;
  const parsed = Date.parse(text.toUpperCase());
  return Number.isNaN(parsed) ? -Infinity : parsed;
}
