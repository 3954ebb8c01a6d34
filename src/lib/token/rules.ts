// SPDX-License-Identifier: Apache-2.0

/** Which of a principal's rules concern one role of a service, and nothing else of what it may do. */
import { isGlob, matchGlob } from "../glob/glob.ts";
import { isSegment } from "../ref/names.ts";
import type { Denial, Grant, ProxyPolicy } from "../schema/policy.ts";
import { TokenError } from "./errors.ts";

/** Of a role: it is a file's name and a segment of actions. */
const MAX_ROLE = 64;

/** Whether it can be a role: one segment of a localpart, `echo`. */
export function isRole(text: string): boolean {
  return text.length <= MAX_ROLE && !text.includes("/") && isSegment(text);
}

/** The action by which grants name what a service does: `service/<role>/<action>`. */
export function serviceAction(role: string, action: string): string {
  if (!isRole(role)) {
    throw new TokenError("bad-role", `Cannot name an action of the role "${role}"`);
  }
  return `service/${role}/${action}`;
}

/**
 * What a token for `role` may say. Grants that can't match an action of it are left out, each pattern by
 * itself (one that stands beside a matching one does not ride along); a grant's end and targets stay. A
 * denial that can't be read stays: it denies.
 */
export function rulesForRole({ grants, denials }: ProxyPolicy, role: string): ProxyPolicy {
  const prefix = ["service", role];
  return {
    grants: grants.flatMap((rule): Grant[] => {
      const actions = rule.actions.filter((pattern) =>
        isGlob(pattern) && mayMatch(pattern, prefix)
      );
      return actions.length === 0 ? [] : [{
        actions,
        ...(rule.targets === undefined ? {} : { targets: rule.targets }),
        ...(rule.expires_at === undefined ? {} : { expires_at: rule.expires_at }),
      }];
    }),
    denials: denials.flatMap((rule): Denial[] => {
      const actions = rule.actions.filter((pattern) =>
        !isGlob(pattern) || mayMatch(pattern, prefix)
      );
      return actions.length === 0 ? [] : [{
        actions,
        ...(rule.targets === undefined ? {} : { targets: rule.targets }),
        ...(rule.expires_at === undefined ? {} : { expires_at: rule.expires_at }),
      }];
    }),
  };
}

/** Whether a well-formed pattern may match some path below `prefix`. */
function mayMatch(pattern: string, prefix: readonly string[]): boolean {
  const segments = pattern.split("/");
  for (const [at, wanted] of prefix.entries()) {
    const segment = segments[at];
    if (segment === "**") return true;
    if (segment === undefined || !matchGlob(segment, wanted)) return false;
  }
  return segments.length > prefix.length;
}
