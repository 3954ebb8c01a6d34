// SPDX-License-Identifier: Apache-2.0
import type {
  Allowance,
  AuthorizationPolicy,
  Denial,
  Grant,
  ProxyPolicy,
} from "../schema/events.ts";
import { isCurrent, parseExpiry } from "./self.ts";

/** Everything known about one principal, merged. */
export interface EffectivePolicy {
  readonly grants: Grant[];
  readonly denials: Denial[];
  /** What others may do to this principal. */
  readonly allowances: Allowance[];
  readonly allowance_denials: Allowance[];
}

/** Where rules come from. The caller has checked that each was sent by someone who may (W-3, W-4). */
export interface PolicySources {
  /** Of the machine or fleet; stamped `machine-default`. */
  readonly defaultPolicy?: AuthorizationPolicy | undefined;
  /** Of the resolved template; stamped `template`. */
  readonly template?: AuthorizationPolicy | undefined;
  /** Of the signed assignment; stamped `principal`. */
  readonly assignment?: AuthorizationPolicy | undefined;
  /** Of rooms whose policy speaks for this principal; stamped `room:<id>`. */
  readonly rooms?: readonly { readonly room: string; readonly policy: AuthorizationPolicy }[];
  /** Of the egress policy, by `egressAuthorization`; stamped `egress`. */
  readonly egress?: AuthorizationPolicy | undefined;
  /** Of an operator of this machine; stamped `operator`. See `operatorPolicy`. */
  readonly operator?: AuthorizationPolicy | undefined;
  /** Granted for a while; stamped `temporal`. One without `expires_at` and `ticket` is left out. */
  readonly temporal?: readonly Grant[];
}

export const noPolicy: EffectivePolicy = {
  grants: [],
  denials: [],
  allowances: [],
  allowance_denials: [],
};

/**
 * Merges all sources: lists are joined, nothing overrides, so a denial from anywhere holds. A `source`
 * inside an event is overwritten: an event can't claim to be another's rule.
 */
export function effectiveGrants(sources: PolicySources): EffectivePolicy {
  const merged: EffectivePolicy = {
    grants: [],
    denials: [],
    allowances: [],
    allowance_denials: [],
  };
  const add = (policy: AuthorizationPolicy | undefined, source: string) => {
    merged.grants.push(...stamp(policy?.grants, source));
    merged.denials.push(...stamp(policy?.denials, source));
    merged.allowances.push(...stamp(policy?.allowances, source));
    merged.allowance_denials.push(...stamp(policy?.allowance_denials, source));
  };
  add(sources.defaultPolicy, "machine-default");
  add(sources.template, "template");
  add(sources.assignment, "principal");
  add(sources.egress, "egress");
  add(sources.operator, "operator");
  for (const { room, policy } of sources.rooms ?? []) add(policy, `room:${room}`);
  const temporal = (sources.temporal ?? []).filter((grant) =>
    grant.expires_at !== undefined && grant.ticket !== undefined
  );
  add({ grants: [...temporal] }, "temporal");
  return merged;
}

function stamp<T extends { source?: string | undefined }>(
  rules: readonly T[] | undefined,
  source: string,
): T[] {
  return (rules ?? []).map((rule) => ({ ...rule, source }));
}

/**
 * What a proxy needs of a policy. Expired grants are left out, unexpired ones keep their `expires_at`,
 * which the proxy checks on every request; denials all go along.
 */
export function flattenForProxy(
  policy: Pick<EffectivePolicy, "grants" | "denials">,
  nowMs: number,
): ProxyPolicy {
  return {
    grants: policy.grants.filter((grant) => isCurrent(grant.expires_at, nowMs)),
    denials: [...policy.denials],
  };
}

/** When the next grant runs out (ms since the epoch), so that its holder is told in time; or null. */
export function nextExpiry(policy: Pick<EffectivePolicy, "grants">, nowMs: number): number | null {
  let next = Infinity;
  for (const { expires_at: at } of policy.grants) {
    if (at !== undefined && parseExpiry(at) > nowMs) next = Math.min(next, parseExpiry(at));
  }
  return next === Infinity ? null : next;
}
