// SPDX-License-Identifier: Apache-2.0

/**
 * What an egress policy says about the proxy. A host that a principal may reach, or may ask for, it may
 * tunnel to: one entry is enough for a first `npm install`. Hosts that it reaches through a service or through
 * the Matrix gateway are left out, for a tunnel there would pass by what those allow, with credentials of
 * somebody else's.
 */
import { askPattern, hostPattern, parseAuthority, type Target } from "../authority.ts";
import type { Denial, Grant } from "../schema/events.ts";
import { grantsAction } from "./self.ts";

export interface EgressSources {
  /** Entries as `resolveEgress` gives them. */
  readonly allow: readonly string[];
  readonly ask: readonly string[];
  /** Hosts that the policy names together with requests: a tunnel there is meant, and read by the proxy. */
  readonly narrowed: readonly string[];
  /** Upstreams of services, and the homeserver. */
  readonly reserved: readonly Target[];
  /** Explicit grants, which are a person's word and stand. */
  readonly explicit: readonly Grant[];
}

/** Grants, and denials of what a wildcard among them would open that is reserved. */
export function egressAuthorization(
  { allow, ask, narrowed, reserved, explicit }: EgressSources,
): { grants: Grant[]; denials: Denial[] } {
  const closed = reserved.filter((target) =>
    !explicit.some((grant) => grantsAction(grant.actions, forwardAction(target))) &&
    !narrowed.some((host) => hostPattern(host)?.(target) ?? false)
  );
  const patterns = new Set<string>();
  for (const entry of allow) {
    const target = parseAuthority(entry);
    const isClosed = target !== null && closed.some((other) => same(other, target));
    if (!isClosed && hostPattern(entry) !== null) patterns.add(actionOf(entry));
  }
  for (const entry of ask) if (askPattern(entry) !== null) patterns.add(actionOf(entry));
  const actions = [...patterns];
  const denied = closed.map(forwardAction).filter((action) => grantsAction(actions, action));
  return {
    grants: actions.length === 0 ? [] : [{ actions }],
    denials: denied.length === 0 ? [] : [{ actions: [...new Set(denied)] }],
  };
}

/** `forward/<host>/<port>`, the action of a tunnel. */
export function forwardAction({ host, port }: Target): string {
  return `forward/${host}/${port}`;
}

/** `*.suffix:port` and `*:port` are globs already: in a glob, too, `*` stays within one segment. */
function actionOf(entry: string): string {
  const wild = /^(\*|\*\..+):(\d+)$/.exec(entry);
  if (wild !== null) return `forward/${wild[1]!.toLowerCase().replace(/\.$/, "")}/${wild[2]}`;
  return forwardAction(parseAuthority(entry)!);
}

function same(a: Target, b: Target): boolean {
  return a.host === b.host && a.port === b.port;
}
