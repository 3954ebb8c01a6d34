// SPDX-License-Identifier: Apache-2.0

/**
 * What the fleet's rooms say of services: which one fills a role, where it runs, whose keys count. Nothing is
 * believed but from those who may say it (W-3, W-4).
 */
import { parseUserId, stateKey } from "../../lib/ref/mod.ts";
import { EventType } from "../../lib/schema/mod.ts";
import { type Revocation, type ServiceTrust, tokenKeyId } from "../../lib/token/mod.ts";
import { type TrustContext, verdictOn } from "../trust.ts";
import type { KeysNow } from "./keys.ts";

export interface DirectoryContext extends TrustContext {
  /** `bureau/fleet/dev` */
  readonly fleet: string;
  readonly serverName: string;
}

export interface Binding {
  /** User id. */
  readonly service: string;
  readonly room: string;
}

/** The first of `rooms` that binds the role: the room that a principal works in, then the machine's. */
export function bindingOf(
  context: DirectoryContext,
  role: string,
  rooms: readonly (string | null | undefined)[],
): Binding | null {
  for (const room of rooms) {
    if (room === null || room === undefined) continue;
    const entry = context.states.get(room, EventType.serviceBinding, role);
    if (entry === undefined) continue;
    if (!verdictOn(context, room, EventType.serviceBinding, entry.sender, null).allowed) continue;
    const state = context.states.read(room, EventType.serviceBinding, role);
    // Cleared: the next room may say.
    if (state === undefined || !state.ok || state.value === null) continue;
    if (isOfFleet(context, state.value.principal)) {
      return { service: state.value.principal, room };
    }
  }
  return null;
}

/** User id of the machine that a service says to run on, by that machine's own word; null: none. */
export function machineOf(
  context: DirectoryContext,
  room: string | null,
  service: string,
): string | null {
  // A state key may be any text.
  if (room === null || !isOfFleet(context, service)) return null;
  const key = stateKey(service);
  const entry = context.states.get(room, EventType.service, key);
  const state = context.states.read(room, EventType.service, key);
  if (entry === undefined || state === undefined || !state.ok || state.value === null) return null;
  const { principal, machine } = state.value;
  return principal === service && entry.sender === machine && isMachine(context, machine)
    ? machine
    : null;
}

/** User id of each service that its own machine announces → what it says of it. */
export function announced(context: DirectoryContext, room: string): Map<string, string> {
  const services = new Map<string, string>();
  for (const key of context.states.all(room, EventType.service).keys()) {
    if (machineOf(context, room, `@${key}`) === null) continue;
    const { content } = context.states.get(room, EventType.service, key)!;
    services.set(`@${key}`, JSON.stringify(content));
  }
  return services;
}

/** Keys and revocations that the fleet's machines published, each of itself. */
export function publishedTrust(
  context: DirectoryContext,
  room: string | null,
): Pick<ServiceTrust, "keys" | "revoked"> {
  const keys: ServiceTrust["keys"] = [];
  const revoked: ServiceTrust["revoked"] = {};
  if (room === null) return { keys, revoked };
  for (const [key, { sender }] of context.states.all(room, EventType.tokenSigningKey)) {
    const state = context.states.read(room, EventType.tokenSigningKey, key);
    if (state === undefined || !state.ok || state.value === null) continue;
    const { machine, public_key, others = [], revoked: ended = [] } = state.value;
    if (sender !== machine || !isMachine(context, machine) || key !== stateKey(machine)) continue;
    keys.push(...[{ public_key }, ...others].map((one) => ({
      ...one,
      id: tokenKeyId(one.public_key),
      machine,
    })));
    if (ended.length > 0) revoked[machine] = [...ended];
  }
  return { keys, revoked };
}

/** Where a machine says to be reached, by that machine's own word; null: nowhere. */
export function peerPlaceOf(
  context: DirectoryContext,
  room: string | null,
  machine: string,
): { addresses: readonly string[]; certificate: string } | null {
  if (room === null || !isMachine(context, machine)) return null;
  const key = stateKey(machine);
  if (context.states.get(room, EventType.tokenSigningKey, key)?.sender !== machine) return null;
  const state = context.states.read(room, EventType.tokenSigningKey, key);
  if (state === undefined || !state.ok || state.value?.machine !== machine) return null;
  return state.value.peer ?? null;
}

/** What a service believes: our own keys and revocations as they are; of other machines what they published. */
export function trustFor(
  context: DirectoryContext,
  room: string | null,
  service: string,
  { keys, revoked: own }: { keys: KeysNow; revoked: readonly Revocation[] },
): ServiceTrust {
  const { machine } = context;
  const published = publishedTrust(context, room);
  const { [machine]: _, ...revoked } = published.revoked;
  return {
    version: 1,
    service,
    keys: [
      ...[{ public_key: keys.signs.publicKey }, ...keys.others].map((one) => ({
        ...one,
        id: tokenKeyId(one.public_key),
        machine,
      })),
      ...published.keys.filter((key) => key.machine !== machine),
    ],
    revoked: { ...revoked, ...(own.length === 0 ? {} : { [machine]: [...own] }) },
  };
}

function isMachine(context: DirectoryContext, user: string): boolean {
  return isOfFleet(context, user, "/machine/");
}

/** Of our own server alone: another one's names are its own to give. */
function isOfFleet({ fleet, serverName }: DirectoryContext, user: string, below = "/"): boolean {
  try {
    const { localpart, server } = parseUserId(user);
    return server === serverName && localpart.startsWith(`${fleet}${below}`);
  } catch {
    return false;
  }
}
