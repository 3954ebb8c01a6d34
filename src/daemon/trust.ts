// SPDX-License-Identifier: Apache-2.0

/** `maySpeakFor` with what this machine knows. */
import { isAdmin, maySpeakFor, type RoomStates, type SpeakVerdict } from "../messaging/mod.ts";

const POWER_LEVELS = "m.room.power_levels";

export interface TrustContext {
  readonly states: RoomStates;
  /** `@…/machine/…:server` */
  readonly machine: string;
  readonly admins: readonly string[];
}

/** Whose word counts in the config room; see `isAdmin`. */
export function isConfigAdmin(
  states: RoomStates,
  room: string,
  sender: string,
  admins: readonly string[],
): boolean {
  return isAdmin(sender, { levels: states.get(room, POWER_LEVELS), admins });
}

/** @param subject user id of whom state of this type in this room is about, or null */
export function verdictOn(
  { states, machine, admins }: TrustContext,
  room: string,
  type: string,
  sender: string,
  subject: string | null,
): SpeakVerdict {
  const levels = states.get(room, POWER_LEVELS);
  return maySpeakFor(sender, subject, { type, levels, admins, machine });
}
