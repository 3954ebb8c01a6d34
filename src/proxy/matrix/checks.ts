// SPDX-License-Identifier: Apache-2.0

/**
 * Calls that can do several things at once: each of these things needs its own action, so that a denial of
 * `matrix/invite` also holds for an invitation that is written as state, or made while creating a room.
 */
import { badRequest } from "../errors.ts";
import type { MatrixAccount } from "./account.ts";
import { eventType, isObject, type JsonObject, userName } from "./parameters.ts";

/** @throws {ProxyError} `forbidden`, naming the action that is missing */
export function requireState(
  account: MatrixAccount,
  type: string,
  stateKey: string,
  content: JsonObject,
): void {
  account.authority.require(`matrix/state/${type}`);
  if (type !== "m.room.member") return;
  const self = stateKey === account.userId;
  account.authority.require(membershipAction(content["membership"], self));
  if (!self) account.requireServerOf(userName(stateKey, "state_key"));
}

function membershipAction(membership: unknown, self: boolean): string {
  switch (membership) {
    case "invite":
      return "matrix/invite";
    case "join":
    case "knock":
      return "matrix/join";
    case "leave":
      return self ? "matrix/leave" : "matrix/kick";
    case "ban":
      return "matrix/ban";
    default:
      throw badRequest("`membership` must be join, knock, invite, leave or ban");
  }
}

/** @returns the user who is invited @throws {ProxyError} also for an invitation by e-mail: another server's matter */
export function requireInvite(account: MatrixAccount, body: JsonObject): string {
  account.authority.require("matrix/invite");
  if ("id_server" in body || "medium" in body || "address" in body) {
    throw badRequest("an invitation here names a Matrix user", "give `user_id` alone");
  }
  const user = userName(body["user_id"], "user_id");
  account.requireServerOf(user);
  return user;
}

/** What an alias in `action` must look like; more would be another rule than what is read. */
const ALIAS_LOCALPART = /^[A-Za-z0-9_][A-Za-z0-9._=-]*(?:\/[A-Za-z0-9_][A-Za-z0-9._=-]*)*$/;

/**
 * Making and removing aliases: other principals are found by them.
 * @param alias `#localpart:server` of this homeserver
 */
export function requireAlias(account: MatrixAccount, alias: string): void {
  const colon = alias.indexOf(":");
  requireAliasName(account, alias.slice(1, colon));
  if (alias.slice(colon + 1) !== account.server) {
    throw badRequest(`an alias here ends in :${account.server}`);
  }
}

function requireAliasName(account: MatrixAccount, localpart: unknown): void {
  if (
    typeof localpart !== "string" || localpart.length > 200 || !ALIAS_LOCALPART.test(localpart)
  ) {
    throw badRequest("the alias must be made of letters, digits and ._=- between slashes");
  }
  account.authority.require(`matrix/alias/${localpart}`);
}

const CREATE_FIELDS = new Set([
  ...["name", "topic", "preset", "visibility", "room_version", "creation_content", "is_direct"],
  ...["room_alias_name", "invite", "initial_state", "power_level_content_override"],
]);

/** Checks everything that `createRoom` would do. @throws {ProxyError} */
export function requireCreateRoom(account: MatrixAccount, body: JsonObject): void {
  const { authority } = account;
  authority.require("matrix/create-room");
  for (const field of Object.keys(body)) {
    if (!CREATE_FIELDS.has(field)) throw badRequest(`\`${field}\` is no field of a new room here`);
  }
  for (const user of listOf(body, "invite")) requireInvite(account, { user_id: user });
  for (const state of listOf(body, "initial_state")) {
    if (!isObject(state) || !isObject(state["content"])) {
      throw badRequest("`initial_state` must hold events with `type` and `content`");
    }
    const key = state["state_key"] ?? "";
    if (typeof key !== "string") throw badRequest("`state_key` must be a text");
    requireState(account, eventType(state["type"], "type"), key, state["content"]);
  }
  if (body["power_level_content_override"] !== undefined) {
    authority.require("matrix/state/m.room.power_levels");
  }
  if (body["room_alias_name"] !== undefined) requireAliasName(account, body["room_alias_name"]);
  // Anybody may come into such a room, unasked; or everybody learns of it.
  if (body["preset"] === "public_chat") authority.require("matrix/state/m.room.join_rules");
  if (body["visibility"] === "public") authority.require("matrix/publish-room");
}

function listOf(body: JsonObject, field: string): unknown[] {
  const list = body[field] ?? [];
  if (!Array.isArray(list)) throw badRequest(`\`${field}\` must be a list`);
  return list;
}
