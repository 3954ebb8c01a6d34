// SPDX-License-Identifier: Apache-2.0

/**
 * Whether an event may enter a room, given the room's current state (room versions 10 and 11; with
 * one server the history is linear, so there is no state resolution).
 */
import { badJson, forbidden } from "./errors.ts";
import {
  checkPowerLevelsChange,
  type Content,
  type PowerLevels,
  powerLevels,
} from "./power_levels.ts";

export interface StateEvent {
  readonly sender: string;
  readonly content: Content;
}

/** The room as it is before the event. */
export interface RoomState {
  get(type: string, stateKey: string): StateEvent | undefined;
  /** Whether the user is joined to another room of this server (restricted joins). */
  isJoinedTo(roomId: string, userId: string): boolean;
  /** A joined user who may invite, if any: vouches for a restricted join. */
  findInviter(levels: PowerLevels): string | undefined;
}

export interface Draft {
  readonly type: string;
  readonly sender: string;
  readonly content: Content;
  readonly state_key?: string;
}

export const membershipOf = (state: RoomState, userId: string): string => {
  const membership = state.get("m.room.member", userId)?.content["membership"];
  return typeof membership === "string" ? membership : "leave";
};

export function levelsOf(state: RoomState): PowerLevels {
  const create = state.get("m.room.create", "");
  return powerLevels(state.get("m.room.power_levels", "")?.content, create?.sender ?? "");
}

/**
 * @returns the content to store: a restricted join gains `join_authorised_via_users_server`
 * @throws {MatrixError} M_FORBIDDEN with the rule that refused it
 */
export function authorize(draft: Draft, state: RoomState): Content {
  const { type, sender, content, state_key: stateKey } = draft;
  if (type === "m.room.create") {
    if (state.get("m.room.create", "") !== undefined || stateKey !== "") {
      throw forbidden("Cannot create the room: it exists already");
    }
    return content;
  }
  if (state.get("m.room.create", "") === undefined) {
    throw forbidden("Cannot send to this room: it was never created");
  }
  if (type === "m.room.member") {
    if (stateKey === undefined || stateKey === "") {
      throw badJson("Cannot set a membership: the state key is not a user id");
    }
    return authorizeMembership(sender, stateKey, content, state);
  }
  if (membershipOf(state, sender) !== "join") {
    throw forbidden(`Cannot send "${type}": ${sender} is not in the room`);
  }
  const levels = levelsOf(state);
  const level = levels.user(sender);
  const needed = levels.event(type, stateKey !== undefined);
  if (level < needed) {
    throw forbidden(
      `Cannot send "${type}": it needs power level ${needed}, ${sender} has ${level}`,
    );
  }
  if (stateKey !== undefined && stateKey.startsWith("@") && stateKey !== sender) {
    throw forbidden(`Cannot set state "${stateKey}": it belongs to another user`);
  }
  if (type === "m.room.power_levels" && stateKey !== undefined) {
    checkPowerLevelsChange(sender, state.get(type, "")?.content, content, level);
  }
  return content;
}

function authorizeMembership(
  sender: string,
  target: string,
  content: Content,
  state: RoomState,
): Content {
  const levels = levelsOf(state);
  const level = levels.user(sender);
  const from = membershipOf(state, sender);
  const current = membershipOf(state, target);
  const joinRule = state.get("m.room.join_rules", "")?.content["join_rule"] ?? "invite";
  const outranks = () => level > levels.user(target);
  switch (content["membership"]) {
    case "join":
      if (sender !== target) throw forbidden("Cannot join: only a user can join for themselves");
      if (current === "ban") throw forbidden(`Cannot join: ${sender} is banned from the room`);
      return authorizeJoin(sender, current, joinRule, content, levels, state);
    case "invite":
      if (from !== "join") throw forbidden(`Cannot invite: ${sender} is not in the room`);
      if (current === "join") throw forbidden(`Cannot invite: ${target} is already in the room`);
      if (current === "ban") throw forbidden(`Cannot invite: ${target} is banned from the room`);
      if (level < levels.scalar("invite")) {
        throw forbidden(`Cannot invite: it needs power level ${levels.scalar("invite")}`);
      }
      return content;
    case "leave":
      if (sender === target) {
        if (current === "join" || current === "invite" || current === "knock") return content;
        throw forbidden(`Cannot leave: ${sender} is not in the room`);
      }
      if (from !== "join") throw forbidden(`Cannot kick: ${sender} is not in the room`);
      if (current === "ban" && level < levels.scalar("ban")) {
        throw forbidden(`Cannot unban: it needs power level ${levels.scalar("ban")}`);
      }
      if (level < levels.scalar("kick") || !outranks()) {
        throw forbidden(
          `Cannot kick ${target}: it needs power level ${
            levels.scalar("kick")
          } and more than theirs`,
        );
      }
      return content;
    case "ban":
      if (from !== "join") throw forbidden(`Cannot ban: ${sender} is not in the room`);
      if (level < levels.scalar("ban") || !outranks()) {
        throw forbidden(
          `Cannot ban ${target}: it needs power level ${levels.scalar("ban")} and more than theirs`,
        );
      }
      return content;
    case "knock":
      if (joinRule !== "knock" && joinRule !== "knock_restricted") {
        throw forbidden("Cannot knock: the room's join rule does not allow it");
      }
      if (sender !== target) throw forbidden("Cannot knock: only a user can knock for themselves");
      if (current === "ban" || current === "join" || current === "invite") {
        throw forbidden(`Cannot knock: ${sender} is ${current} already`);
      }
      return content;
    default:
      throw badJson("Cannot set a membership: it is none of join, invite, leave, ban, knock");
  }
}

function authorizeJoin(
  sender: string,
  current: string,
  joinRule: unknown,
  content: Content,
  levels: PowerLevels,
  state: RoomState,
): Content {
  // The creator's own first join, before there are rules.
  if (
    state.get("m.room.create", "")?.sender === sender &&
    state.get("m.room.join_rules", "") === undefined &&
    state.get("m.room.power_levels", "") === undefined &&
    state.get("m.room.member", sender) === undefined
  ) return content;
  if (current === "join" || current === "invite") return content;
  if (joinRule === "public") return content;
  if (joinRule === "restricted" || joinRule === "knock_restricted") {
    const allow = state.get("m.room.join_rules", "")?.content["allow"];
    const allowed = Array.isArray(allow) &&
      allow.some((entry) =>
        entry?.type === "m.room_membership" && typeof entry.room_id === "string" &&
        state.isJoinedTo(entry.room_id, sender)
      );
    const inviter = allowed ? state.findInviter(levels) : undefined;
    if (inviter !== undefined) return { ...content, join_authorised_via_users_server: inviter };
  }
  throw forbidden(`Cannot join: ${sender} is not invited`);
}
