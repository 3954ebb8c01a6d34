// SPDX-License-Identifier: Apache-2.0
import type { AuthorizationPolicy } from "../schema/events.ts";
import { check, checkTarget } from "./check.ts";
import type { EffectivePolicy } from "./effective.ts";
import type { Decision } from "./self.ts";

/** Whoever does something, or has it done to them. */
export interface Party {
  /** User id, as verified by the caller. */
  readonly userId: string;
  /**
   * - `operator`: of this machine; its policy has the source `operator`
   * - `principal`: assigned to this machine
   * - `machine`: the target of what concerns no single principal
   * - `person`: anybody else
   */
  readonly kind: "operator" | "principal" | "machine" | "person";
  readonly policy: EffectivePolicy;
}

/** What being an operator of a machine gives. Denials hold for operators as for anybody. */
export const operatorPolicy: AuthorizationPolicy = {
  grants: [{ actions: ["**"], targets: ["**:**"] }],
};

/**
 * The one decision about what one party does to another, or (without a target) at its own proxy. Operators
 * pass it like everybody: through a grant of theirs, and an allowance that every target has for them.
 */
export function decide(
  actor: Party,
  action: string,
  target: Party | undefined,
  nowMs: number,
): Decision {
  if (target === undefined) {
    return check({ actor: actor.userId, action }, { actor: actor.policy }, nowMs);
  }
  if (target.userId === actor.userId && action === "observe") {
    return {
      allowed: true,
      reason: "allowed",
      grant: { actions: [action], targets: [actor.userId.slice(1)], source: "self" },
    };
  }
  const question = { actor: actor.userId, action, target: target.userId };
  const { policy } = target;
  if (actor.kind === "operator") {
    // Only its exact name: matched like any other pattern, so one that is no pattern allows nothing.
    const allowance = { actions: ["**"], actors: [actor.userId], source: "operator" };
    const allowances = [allowance, ...policy.allowances];
    return check(question, { actor: actor.policy, target: { ...policy, allowances } }, nowMs);
  }
  // Watching asks the target alone of people, who have no grants on a machine.
  const watches = action === "observe" || action.startsWith("observe/");
  return actor.kind === "person" && watches
    ? checkTarget(question, policy, nowMs, actor.policy.denials)
    : check(question, { actor: actor.policy, target: policy }, nowMs);
}
