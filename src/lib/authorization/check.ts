// SPDX-License-Identifier: Apache-2.0
import { isUserPattern, matchUserPattern } from "../glob/user.ts";
import type { Allowance, Denial } from "../schema/events.ts";
import {
  checkActor,
  type Decision,
  deniesAction,
  grantsAction,
  isCurrent,
  stillHolds,
} from "./self.ts";
import type { EffectivePolicy } from "./effective.ts";

export interface Question {
  /** User id of who asks, as verified by the caller; never as asserted by the actor. */
  readonly actor: string;
  readonly action: string;
  /** User id of whom it is done to. Absent: self-service. */
  readonly target?: string;
}

/**
 * The full decision: the actor's grants, then its denials, then the target's allowances, then the
 * target's allowance denials.
 * @param policies `target` is the policy of the target; absent: it allows nothing
 */
export function check(
  question: Question,
  policies: { actor: EffectivePolicy; target?: EffectivePolicy },
  nowMs: number,
): Decision {
  const { action, target } = question;
  const actor = checkActor(
    policies.actor,
    action,
    nowMs,
    target === undefined
      ? () => true
      : (targets, side) => coversTarget(targets, target, side === "denial"),
  );
  if (!actor.allowed || target === undefined) return actor;
  return { ...actor, ...checkTarget(question, policies.target, nowMs) };
}

/**
 * The target's side alone, with the actor's denials when it has any: what decides about watching, where
 * an operator may have no grants of its own on this machine.
 */
export function checkTarget(
  question: Question,
  target: Pick<EffectivePolicy, "allowances" | "allowance_denials"> | undefined,
  nowMs: number,
  actorDenials: readonly Denial[] = [],
): Decision {
  const { actor, action } = question;
  const denial = actorDenials.find((rule) =>
    stillHolds(rule.expires_at, nowMs) &&
    deniesAction(rule.actions, action) &&
    (question.target === undefined || coversTarget(rule.targets, question.target, true))
  );
  if (denial !== undefined) return { allowed: false, reason: "explicit denial", denial };
  const allowance = target?.allowances.find((rule) =>
    isCurrent(rule.expires_at, nowMs) &&
    grantsAction(rule.actions, action) &&
    rule.actors.some((pattern) => matchUserPattern(pattern, actor))
  );
  if (allowance === undefined) {
    return { allowed: false, reason: "no matching allowance on target" };
  }
  const allowanceDenial = target?.allowance_denials.find((rule: Allowance) =>
    stillHolds(rule.expires_at, nowMs) &&
    deniesAction(rule.actions, action) &&
    rule.actors.some((pattern) => !isUserPattern(pattern) || matchUserPattern(pattern, actor))
  );
  if (allowanceDenial !== undefined) {
    return {
      allowed: false,
      reason: "explicit allowance denial on target",
      allowance,
      allowanceDenial,
    };
  }
  return { allowed: true, reason: "allowed", allowance };
}

/** A grant without targets covers no target; a denial without targets covers every one. */
function coversTarget(
  targets: readonly string[] | undefined,
  target: string,
  denies: boolean,
): boolean {
  if (targets === undefined || targets.length === 0) return denies;
  return targets.some((pattern) =>
    matchUserPattern(pattern, target) || (denies && !isUserPattern(pattern))
  );
}
