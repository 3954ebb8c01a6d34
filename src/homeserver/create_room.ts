// SPDX-License-Identifier: Apache-2.0

/** Making a room: its first events in the order that the specification gives. */
import { append } from "./append.ts";
import { type Context, randomText } from "./context.ts";
import { badJson, MatrixError } from "./errors.ts";
import type { Body } from "./http.ts";
import {
  checkUserId,
  isObject,
  objectList,
  optionalObject,
  optionalString,
  requiredString,
  stringList,
} from "./params.ts";
import { checkPowerLevelsShape, type Content } from "./power_levels.ts";
import { profileOf } from "./profiles.ts";
import { membership, roomsOf } from "./store/members.ts";

export const ROOM_VERSIONS = ["10", "11"];
export const DEFAULT_ROOM_VERSION = "11";

const PRESETS: Readonly<Record<string, { join: string; history: string; guests: string }>> = {
  private_chat: { join: "invite", history: "shared", guests: "can_join" },
  trusted_private_chat: { join: "invite", history: "shared", guests: "can_join" },
  public_chat: { join: "public", history: "shared", guests: "forbidden" },
};

interface RoomRequest {
  readonly version: string;
  readonly preset: string;
  readonly published: boolean;
  readonly alias: string | undefined;
  readonly name: string | undefined;
  readonly topic: string | undefined;
  readonly invite: readonly string[];
  readonly isDirect: boolean;
  readonly initialState: readonly { type: string; state_key: string; content: Content }[];
  readonly levels: Body;
  readonly create: Body;
}

/** @throws {MatrixError} M_BAD_JSON, M_UNSUPPORTED_ROOM_VERSION, M_INVALID_PARAM */
export function parseRoomRequest(body: Body, serverName: string): RoomRequest {
  const version = optionalString(body, "room_version") ?? DEFAULT_ROOM_VERSION;
  if (!ROOM_VERSIONS.includes(version)) {
    throw new MatrixError(
      400,
      "M_UNSUPPORTED_ROOM_VERSION",
      `Cannot create a room of version "${version}": this homeserver has ${
        ROOM_VERSIONS.join(", ")
      }`,
    );
  }
  const published = optionalString(body, "visibility") === "public";
  const preset = optionalString(body, "preset") ?? (published ? "public_chat" : "private_chat");
  if (PRESETS[preset] === undefined) throw badJson(`Cannot create a room: no preset "${preset}"`);
  const localpart = optionalString(body, "room_alias_name");
  if (localpart !== undefined && /[:\0\s#]/.test(localpart)) {
    throw badJson("Cannot create a room: the alias name has characters that an alias can't have");
  }
  return {
    version,
    preset,
    published,
    alias: localpart === undefined ? undefined : `#${localpart}:${serverName}`,
    name: optionalString(body, "name"),
    topic: optionalString(body, "topic"),
    invite: [...new Set(stringList(body, "invite").map(checkUserId))],
    isDirect: body["is_direct"] === true,
    initialState: objectList(body, "initial_state").map((event) => {
      const content = event["content"];
      if (!isObject(content)) throw badJson("Cannot create a room: initial_state has no content");
      return {
        type: requiredString(event, "type"),
        state_key: optionalString(event, "state_key") ?? "",
        content,
      };
    }),
    levels: optionalObject(body, "power_level_content_override") ?? {},
    create: optionalObject(body, "creation_content") ?? {},
  };
}

/** Inside `db.write`. @returns the room id */
export function createRoom(ctx: Context, creator: string, request: RoomRequest): string {
  const { db } = ctx;
  const roomId = `!${randomText(18)}:${ctx.serverName}`;
  if (request.alias !== undefined) {
    if (db.get("SELECT 1 AS yes FROM aliases WHERE alias = ?", request.alias) !== undefined) {
      throw new MatrixError(
        400,
        "M_ROOM_IN_USE",
        `Cannot create a room: the alias "${request.alias}" is taken`,
      );
    }
    db.run("INSERT INTO aliases VALUES (?, ?, ?)", request.alias, roomId, creator);
  }
  db.run(
    "INSERT INTO rooms (room_id, version, creator, created_ts, last_so, published) VALUES (?,?,?,?,?,?)",
    roomId,
    request.version,
    creator,
    ctx.clock.now(),
    0,
    request.published ? 1 : 0,
  );
  const given = new Set(request.initialState.map((event) => `${event.type}\0${event.state_key}`));
  const state = (type: string, content: Content, stateKey = "", sender = creator) =>
    append(ctx, { roomId, type, state_key: stateKey, sender, content });
  /** A preset's default, unless initial_state says otherwise. */
  const fallback = (type: string, content: Content) => {
    if (!given.has(`${type}\0`)) state(type, content);
  };
  const preset = PRESETS[request.preset]!;
  const { creator: _ignored, ...create } = request.create;
  state("m.room.create", {
    ...create,
    room_version: request.version,
    ...(request.version === "10" ? { creator } : {}),
  });
  state("m.room.member", { membership: "join", ...profileOf(ctx, creator) }, creator);
  const levels = initialLevels(request, creator);
  checkPowerLevelsShape(levels);
  fallback("m.room.power_levels", levels);
  if (request.alias !== undefined) fallback("m.room.canonical_alias", { alias: request.alias });
  fallback("m.room.join_rules", { join_rule: preset.join });
  fallback("m.room.history_visibility", { history_visibility: preset.history });
  // Without the event guests are forbidden.
  if (preset.guests !== "forbidden") {
    fallback("m.room.guest_access", { guest_access: preset.guests });
  }
  for (const event of request.initialState) state(event.type, event.content, event.state_key);
  if (request.name !== undefined) state("m.room.name", { name: request.name });
  if (request.topic !== undefined) state("m.room.topic", { topic: request.topic });
  for (const userId of request.invite) {
    if (membership(db, roomId, userId)?.membership === "join") continue;
    state("m.room.member", {
      membership: "invite",
      ...profileOf(ctx, userId),
      ...(request.isDirect ? { is_direct: true } : {}),
    }, userId);
  }
  return roomId;
}

/** The override replaces whole top-level fields, as servers do it. */
function initialLevels(request: RoomRequest, creator: string): Content {
  const users: Record<string, number> = { [creator]: 100 };
  if (request.preset === "trusted_private_chat") {
    for (const userId of request.invite) users[userId] = 100;
  }
  return {
    users,
    users_default: 0,
    events: {
      "m.room.name": 50,
      "m.room.power_levels": 100,
      "m.room.history_visibility": 100,
      "m.room.canonical_alias": 50,
      "m.room.avatar": 50,
      "m.room.tombstone": 100,
      "m.room.server_acl": 100,
      "m.room.encryption": 100,
    },
    events_default: 0,
    state_default: 50,
    ban: 50,
    kick: 50,
    redact: 50,
    // Members of a private room bring others in, as Synapse has it; into a public one everybody comes anyway.
    invite: request.preset === "public_chat" ? 50 : 0,
    historical: 100,
    ...request.levels,
  };
}

/** A changed profile reaches the rooms its owner is in. Inside `db.write`. */
export function announceProfile(ctx: Context, userId: string): void {
  for (const roomId of roomsOf(ctx.db, userId, "join")) {
    append(ctx, {
      roomId,
      type: "m.room.member",
      state_key: userId,
      sender: userId,
      content: { membership: "join", ...profileOf(ctx, userId) },
    });
  }
}
