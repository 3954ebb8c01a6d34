// SPDX-License-Identifier: Apache-2.0
import { powerLevel, type RoomStates } from "../messaging/mod.ts";

const ADMIN_LEVEL = 100;

/**
 * Whose word counts in the config room. Power level 100 alone is not enough: whoever takes the machine's
 * alias before the operator does is 100 in a room of their own. A name on the list alone is not enough
 * either: taking somebody's level away must take effect here. So: level 100 now, and either on the
 * machine's list or given that level by someone on it.
 */
export function isConfigAdmin(
  states: RoomStates,
  room: string,
  sender: string,
  admins: readonly string[],
): boolean {
  if (powerLevel(states, room, sender) < ADMIN_LEVEL) return false;
  if (admins.includes(sender)) return true;
  const levels = states.get(room, "m.room.power_levels");
  return levels !== undefined && admins.includes(levels.sender);
}

/**
 * Whose templates count: level 100 in the template's own room, which another fleet may own. What it says
 * is pinned besides, by the digest that the operator signed.
 */
export function isTemplateAuthor(states: RoomStates, room: string, sender: string): boolean {
  return powerLevel(states, room, sender) >= ADMIN_LEVEL;
}
