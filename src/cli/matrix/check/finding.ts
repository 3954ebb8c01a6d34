// SPDX-License-Identifier: Apache-2.0

/** What `matrix check` finds, and what it looks at. */
import { userId } from "../../../lib/ref/mod.ts";
import {
  type Content,
  maySpeakFor,
  type SpeakVerdict,
  type StateEvent,
} from "../../../messaging/mod.ts";
import type { OperatorSession } from "../../session.ts";
import type { TemplateStore } from "../../template/store.ts";

export interface Finding {
  /** `error`: something does not work or is not believed. `warning`: something is left over. */
  readonly severity: "error" | "warning";
  readonly code: string;
  /** Alias, or id where it has none. */
  readonly room: string;
  /** Whom or what it is about. */
  readonly subject: string;
  readonly message: string;
  readonly hint: string | null;
  /** Mends it. Absent where that takes a decision. */
  readonly mend?: () => Promise<void>;
}

/** A room as the check sees it. */
export interface Seen {
  readonly id: string;
  /** Localpart of its alias on this server; null where it has none. */
  readonly alias: string | null;
  /** For a person. */
  readonly label: string;
  readonly state: readonly StateEvent[];
}

export interface CheckContext {
  readonly session: OperatorSession;
  readonly store: TemplateStore;
  /** Public keys whose signatures this machine's launcher takes. */
  readonly operatorKeys: readonly string[];
  readonly rooms: readonly Seen[];
}

export function stateOf(room: Seen, type: string, key = ""): StateEvent | undefined {
  return room.state.find((event) => event.type === type && event.state_key === key);
}

export function isCleared(content: Content): boolean {
  return Object.keys(content).length === 0;
}

/** Whether a room's event counts, as the daemon of `machine` would have it. */
export function verdict(
  { session }: CheckContext,
  room: Seen,
  event: StateEvent,
  subject: string | null,
  machine?: string,
): SpeakVerdict {
  const levels = stateOf(room, "m.room.power_levels");
  return maySpeakFor(event.sender, subject, {
    type: event.type,
    levels: levels && { content: levels.content, sender: levels.sender, eventId: undefined },
    admins: [session.user_id],
    ...(machine === undefined ? {} : { machine }),
  });
}

/** User id of the machine whose config room this is; null for any other room. */
export function machineOf({ session }: CheckContext, room: Seen): string | null {
  const prefix = `${session.fleet}/machine/`;
  return room.alias?.startsWith(prefix) ? userId(room.alias, session.server_name) : null;
}

/** Whether a machine is of the fleet still: one that was taken out leaves its config room behind. */
export function isOfFleet({ session, rooms }: CheckContext, machine: string): boolean {
  const room = rooms.find(({ alias }) => alias === `${session.fleet}/machine`);
  if (room === undefined) return true;
  const users = stateOf(room, "m.room.power_levels")?.content["users"];
  return Object.hasOwn(users as object ?? {}, machine);
}
