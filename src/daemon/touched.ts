// SPDX-License-Identifier: Apache-2.0

/** What a batch of the sync asks to be looked at again. */
import { parseStateKey } from "../lib/ref/mod.ts";
import { EventType } from "../lib/schema/mod.ts";
import type { RoomStates, SyncBatch } from "../messaging/mod.ts";
import { KEPT, POWER_LEVELS } from "./filter.ts";
import type { ManagedPrincipal } from "./principal.ts";

export interface Touched {
  /** State keys of principals whose events changed. */
  readonly keys: Set<string>;
  /** State keys of those whose policy changed, who may be no principals. */
  readonly policies: ReadonlySet<string>;
  /** Rooms that came, left, or changed what templates, bindings or power levels say. */
  readonly rooms: ReadonlySet<string>;
  readonly everyone: boolean;
}

/** Their state key is whom they are about. */
const OF_PRINCIPALS: ReadonlySet<string> = new Set([
  EventType.assignment,
  EventType.credentials,
]);

/** Whether anything of a batch may mean something else for a principal. */
export function concerns(
  { keys, policies, rooms, everyone }: Touched,
  { userId, evaluation }: Pick<ManagedPrincipal, "userId" | "evaluation">,
): boolean {
  const key = userId.slice(1);
  return everyone || keys.has(key) || policies.has(key) ||
    [...evaluation.rooms].some((room) => rooms.has(room)) ||
    // A room that was missing may be the one that came.
    (evaluation.desired.problem !== null && rooms.size > 0);
}

/** They concern those who were evaluated with their room. */
const OF_ROOMS: ReadonlySet<string> = new Set([
  POWER_LEVELS,
  EventType.template,
  EventType.serviceBinding,
]);

/** Whom a state key is about. @throws when it is nobody of this server */
export function localpartOf(key: string, serverName: string): string {
  const { localpart, server } = parseStateKey(key);
  if (server !== serverName) throw new Error("it is of another server");
  return localpart;
}

/** Applies a batch to `states`. */
export function applyBatch(
  batch: SyncBatch,
  states: RoomStates,
  configRoom: string,
): Touched {
  const keys = new Set<string>();
  const policies = new Set<string>();
  const rooms = new Set<string>(batch.left);
  let everyone = batch.initial;
  for (const { room, state, timeline } of batch.joined) {
    if (!states.has(room)) rooms.add(room);
    states.add(room);
    for (const event of [...state, ...timeline]) {
      if (!KEPT.has(event.type) || !states.apply(room, event)) continue;
      if (room === configRoom) {
        if (event.type === POWER_LEVELS) everyone = true;
        else if (event.type === EventType.authorization) {
          // The empty key speaks about everybody.
          if (event.state_key === "") everyone = true;
          else policies.add(event.state_key!);
        } else if (event.type === EventType.temporalGrant) {
          // It may have been somebody else's before, and a cleared one doesn't say whose.
          everyone = true;
        } else if (OF_PRINCIPALS.has(event.type)) keys.add(event.state_key!);
      }
      if (OF_ROOMS.has(event.type)) rooms.add(room);
    }
  }
  for (const room of batch.left) states.drop(room);
  return { keys, policies, rooms, everyone };
}
