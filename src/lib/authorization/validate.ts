// SPDX-License-Identifier: Apache-2.0
import { isGlob, isUserPattern } from "../glob/mod.ts";
import type { AuthorizationPolicy } from "../schema/events.ts";
import { parseExpiry } from "./self.ts";

/**
 * What is wrong with a policy block before it is published: a malformed grant would silently grant
 * nothing, a malformed denial would deny everything.
 * @returns one sentence each, empty when nothing is wrong
 */
export function policyProblems(policy: AuthorizationPolicy): string[] {
  const problems: string[] = [];
  const see = (
    list: string,
    rules: readonly { actions: string[]; targets?: string[] | undefined; actors?: string[] }[] = [],
  ) => {
    for (const [at, rule] of rules.entries()) {
      const where = `${list}[${at}]`;
      if (rule.actions.length === 0) problems.push(`${where} names no actions`);
      for (const pattern of rule.actions) {
        if (!isGlob(pattern)) {
          problems.push(`${where}: malformed action ${JSON.stringify(pattern)}`);
        }
      }
      for (const pattern of [...(rule.targets ?? []), ...(rule.actors ?? [])]) {
        if (!isUserPattern(pattern)) {
          problems.push(
            `${where}: malformed user pattern ${JSON.stringify(pattern)}, it must be name:server`,
          );
        }
      }
    }
  };
  see("grants", policy.grants);
  see("denials", policy.denials);
  see("allowances", policy.allowances);
  see("allowance_denials", policy.allowance_denials);
  for (const list of ["grants", "denials", "allowances", "allowance_denials"] as const) {
    for (const [at, { expires_at: end }] of (policy[list] ?? []).entries()) {
      if (end !== undefined && parseExpiry(end) === -Infinity) {
        problems.push(`${list}[${at}]: expires_at must be an RFC 3339 time with a zone`);
      }
    }
  }
  return problems;
}
