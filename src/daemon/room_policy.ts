// SPDX-License-Identifier: Apache-2.0

/** `m.bureau.authorization` of the config room: about one user, or with the empty key about everybody. */
import { type AuthorizationPolicy, EventType, type Grant } from "../lib/schema/mod.ts";
import type { StateEntry } from "../messaging/mod.ts";
import { type TrustContext, verdictOn } from "./trust.ts";

export interface RoomPolicy {
  readonly room: string;
  readonly policy: AuthorizationPolicy;
  readonly entry: StateEntry;
}

/** Of what can't be read nobody knows what it denies. */
const UNREADABLE: AuthorizationPolicy = {
  denials: [{ actions: ["**"] }],
  allowance_denials: [{ actions: ["**"], actors: ["**:**"] }],
};

/** @returns null where there is none, or none from somebody who may write it (W-3) */
export function roomPolicy(context: TrustContext, room: string, key: string): RoomPolicy | null {
  const type = EventType.authorization;
  const entry = context.states.get(room, type, key);
  if (entry === undefined) return null;
  if (!verdictOn(context, room, type, entry.sender, null).allowed) return null;
  const state = context.states.read(room, type, key)!;
  if (!state.ok) return { room, policy: UNREADABLE, entry };
  return state.value === null ? null : { room, policy: state.value, entry };
}

/** `m.bureau.temporal_grant` about this user; one whose ticket is not named has its state key for one. */
export function temporalGrants(context: TrustContext, room: string, userId: string): Grant[] {
  const type = EventType.temporalGrant;
  const grants: Grant[] = [];
  for (const { key, sender, value } of context.states.readAll(room, type)) {
    if (value.principal !== userId) continue;
    if (!verdictOn(context, room, type, sender, userId).allowed) continue;
    grants.push({ ...value.grant, ticket: value.grant.ticket ?? key });
  }
  return grants;
}
