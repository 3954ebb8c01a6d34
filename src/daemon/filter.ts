// SPDX-License-Identifier: Apache-2.0

/** What the machine's one sync loop asks the homeserver for. */
import type { Logger } from "../lib/log.ts";
import { EventType } from "../lib/schema/mod.ts";
import { RoomStates, SyncFilter } from "../messaging/mod.ts";

export const POWER_LEVELS = "m.room.power_levels";

/** State that the daemon keeps. Nothing else is asked for, so that a fleet's size costs nothing here. */
export const KEPT: ReadonlySet<string> = new Set<string>([
  EventType.assignment,
  EventType.authorization,
  EventType.bureauVersion,
  EventType.credentials,
  EventType.template,
  EventType.principalStatus,
  EventType.temporalGrant,
  EventType.service,
  EventType.serviceBinding,
  EventType.tokenSigningKey,
  POWER_LEVELS,
]);

/** The state that is kept; what can't be read is told of once and left out. */
export function keptStates(log: Logger): RoomStates {
  return new RoomStates({
    onMalformed: ({ room, type, key, sender, eventId, error }) =>
      log.warn("event skipped", {
        room,
        type,
        state_key: key.slice(0, 255),
        sender,
        event: eventId ?? null,
        why: error.message,
      }),
  });
}

/** @param types further ones, that somebody follows just now; `*` stands for any text in them */
export function syncFilter(types: readonly string[]): object {
  const wanted = [...new Set([...KEPT, "m.room.member", ...types])].sort();
  return {
    presence: { not_types: ["*"] },
    account_data: { not_types: ["*"] },
    room: {
      state: { types: wanted, lazy_load_members: true },
      timeline: { types: wanted, limit: 50, lazy_load_members: true },
      ephemeral: { not_types: ["*"] },
      account_data: { not_types: ["*"] },
    },
  };
}

/** The filter of the one sync, by what each part of the daemon wants it to bring just now. */
export class WantedTypes {
  readonly filter: SyncFilter = new SyncFilter(syncFilter([]));
  readonly #types = new Map<string, readonly string[]>();

  set(part: string, types: readonly string[]): void {
    this.#types.set(part, types);
    this.filter.set(syncFilter([...this.#types.values()].flat()));
  }
}
