// SPDX-License-Identifier: Apache-2.0

/** Rooms, memberships and aliases. */
import { append } from "../append.ts";
import { roomLevels } from "../append.ts";
import type { Context } from "../context.ts";
import { createRoom, parseRoomRequest } from "../create_room.ts";
import { forbidden, invalidParam, MatrixError, notFound } from "../errors.ts";
import { type AuthedCall, type Body, MAX_BULK_BYTES, type Routes } from "../http.ts";
import { checkUserId, optionalString, requiredString } from "../params.ts";
import { profileOf } from "../profiles.ts";
import { stateAt, toClient } from "../store/events.ts";
import {
  existingRoom,
  isJoined,
  membership,
  membershipAt,
  readableUpTo,
  requireJoined,
  roomRow,
  roomsOf,
} from "../store/members.ts";
import { parseToken } from "../tokens.ts";

export function roomRoutes(routes: Routes): void {
  routes
    .on("POST", "/createRoom", async ({ ctx, session, body }) => {
      ctx.limits.take("write", session.userId);
      const request = parseRoomRequest(await body(MAX_BULK_BYTES), ctx.serverName);
      return { room_id: await ctx.db.write(() => createRoom(ctx, session.userId, request)) };
    })
    .on("POST", "/join/:room", (call) => join(call, call.params["room"]!))
    .on("POST", "/rooms/:roomId/join", (call) => join(call, call.params["roomId"]!))
    .on("POST", "/knock/:room", async (call) => {
      const roomId = resolveRoom(call.ctx, call.params["room"]!);
      await setMembership(call, roomId, call.session.userId, "knock", await call.body());
      return { room_id: roomId };
    })
    .on("POST", "/rooms/:roomId/leave", leave)
    .on("POST", "/rooms/:roomId/forget", forget)
    .on("POST", "/rooms/:roomId/invite", (call) => act(call, "invite"))
    .on("POST", "/rooms/:roomId/kick", (call) => act(call, "leave", ["join", "invite", "knock"]))
    .on("POST", "/rooms/:roomId/ban", (call) => act(call, "ban"))
    .on("POST", "/rooms/:roomId/unban", (call) => act(call, "leave", ["ban"]))
    .on("GET", "/joined_rooms", ({ ctx, session }) => ({
      joined_rooms: roomsOf(ctx.db, session.userId, "join"),
    }))
    .on("GET", "/rooms/:roomId/members", members)
    .on("GET", "/rooms/:roomId/joined_members", joinedMembers)
    .on("GET", "/rooms/:roomId/aliases", ({ ctx, session, params }) => {
      readableUpTo(ctx.db, params["roomId"]!, session.userId);
      return { aliases: aliasesOf(ctx, params["roomId"]!) };
    })
    .open("GET", "/directory/room/:alias", ({ ctx, params }) => ({
      room_id: resolveRoom(ctx, params["alias"]!),
      servers: [ctx.serverName],
    }))
    .on("PUT", "/directory/room/:alias", putAlias)
    .on("DELETE", "/directory/room/:alias", deleteAlias);
}

/** A room id, or the room of an alias. @throws {MatrixError} M_NOT_FOUND, M_INVALID_PARAM */
export function resolveRoom(ctx: Context, room: string): string {
  if (room.startsWith("!")) return existingRoom(ctx.db, room).room_id;
  if (!room.startsWith("#")) throw invalidParam(`Cannot find "${room}": not a room id or alias`);
  const row = ctx.db.get("SELECT room_id FROM aliases WHERE alias = ?", room);
  if (row === undefined) throw notFound(`Cannot find room alias "${room}"`);
  return String(row["room_id"]);
}

const aliasesOf = (ctx: Context, roomId: string): string[] =>
  ctx.db.all("SELECT alias FROM aliases WHERE room_id = ? ORDER BY alias", roomId)
    .map((row) => String(row["alias"]));

function setMembership(
  call: AuthedCall,
  roomId: string,
  target: string,
  value: string,
  body: Body,
  from?: readonly string[],
): Promise<unknown> {
  const { ctx, session } = call;
  ctx.limits.take("write", session.userId);
  const reason = optionalString(body, "reason");
  return ctx.db.write(() => {
    const room = roomRow(ctx.db, roomId);
    const own = membership(ctx.db, roomId, target)?.membership ?? "leave";
    if (value === "join" && own === "join") return;
    if (
      value === "join" &&
      ctx.db.get("SELECT blocked FROM rooms WHERE room_id = ?", room.room_id)?.["blocked"] === 1
    ) {
      throw forbidden(`Cannot join "${roomId}": it was blocked by an admin`);
    }
    if (from !== undefined && !from.includes(own)) {
      throw forbidden(`Cannot change the membership of ${target}: it is "${own}"`);
    }
    append(ctx, {
      roomId,
      type: "m.room.member",
      state_key: target,
      sender: session.userId,
      content: {
        membership: value,
        ...(value === "leave" || value === "ban" ? {} : profileOf(ctx, target)),
        ...(reason === undefined ? {} : { reason }),
      },
    });
  });
}

async function join(call: AuthedCall, room: string): Promise<unknown> {
  const body = await call.body();
  const roomId = resolveRoom(call.ctx, room);
  await setMembership(call, roomId, call.session.userId, "join", body);
  return { room_id: roomId };
}

async function leave(call: AuthedCall): Promise<unknown> {
  const roomId = call.params["roomId"]!;
  const body = await call.body();
  // Leaving twice is no error: a client that repeats a lost answer must succeed.
  const own = membership(call.ctx.db, roomId, call.session.userId);
  if (own?.membership === "leave") return {};
  await setMembership(call, roomId, call.session.userId, "leave", body);
  return {};
}

async function forget({ ctx, session, params }: AuthedCall): Promise<unknown> {
  const roomId = params["roomId"]!;
  await ctx.db.write(() => {
    roomRow(ctx.db, roomId);
    if (isJoined(ctx.db, roomId, session.userId)) {
      throw new MatrixError(
        400,
        "M_UNKNOWN",
        `Cannot forget "${roomId}": ${session.userId} is in it`,
      );
    }
    ctx.db.run(
      "UPDATE members SET forgotten = 1 WHERE user_id = ? AND room_id = ?",
      session.userId,
      roomId,
    );
  });
  return {};
}

async function act(call: AuthedCall, value: string, from?: readonly string[]): Promise<unknown> {
  const body = await call.body();
  const target = checkUserId(requiredString(body, "user_id"));
  await setMembership(call, call.params["roomId"]!, target, value, body, from);
  return {};
}

function members({ ctx, session, params, query }: AuthedCall): unknown {
  const roomId = params["roomId"]!;
  roomRow(ctx.db, roomId);
  let upTo = readableUpTo(ctx.db, roomId, session.userId);
  const at = query.get("at");
  if (at !== null) upTo = Math.min(upTo, parseToken(at));
  const [only, not] = [query.get("membership"), query.get("not_membership")];
  const now = ctx.clock.now();
  const chunk = stateAt(ctx.db, roomId, upTo)
    .filter((event) => event.type === "m.room.member")
    .map((event) => toClient(ctx.db, event, session, now))
    .filter(({ content }) =>
      (only === null || content["membership"] === only) &&
      (not === null || content["membership"] !== not)
    );
  return { chunk };
}

function joinedMembers({ ctx, session, params }: AuthedCall): unknown {
  const roomId = params["roomId"]!;
  roomRow(ctx.db, roomId);
  requireJoined(ctx.db, roomId, session.userId);
  const joined: Record<string, unknown> = {};
  for (
    const row of ctx.db.all(
      "SELECT m.user_id, e.content FROM members m JOIN events e ON e.so = m.so WHERE m.room_id = ? AND m.membership = 'join'",
      roomId,
    )
  ) {
    const content = JSON.parse(String(row["content"]));
    joined[String(row["user_id"])] = {
      display_name: content.displayname ?? null,
      avatar_url: content.avatar_url ?? null,
    };
  }
  return { joined };
}

async function putAlias(call: AuthedCall): Promise<unknown> {
  const { ctx, session } = call;
  const alias = call.params["alias"]!;
  const roomId = requiredString(await call.body(), "room_id");
  if (!/^#[^:\0\s]+:/.test(alias) || !alias.endsWith(`:${ctx.serverName}`) || alias.length > 255) {
    throw invalidParam(`Cannot make alias "${alias}": it must be "#name:${ctx.serverName}"`);
  }
  await ctx.db.write(() => {
    roomRow(ctx.db, roomId);
    requireJoined(ctx.db, roomId, session.userId);
    if (ctx.db.get("SELECT 1 AS yes FROM aliases WHERE alias = ?", alias) !== undefined) {
      throw new MatrixError(409, "M_UNKNOWN", `Cannot make alias "${alias}": it exists already`);
    }
    ctx.db.run("INSERT INTO aliases VALUES (?, ?, ?)", alias, roomId, session.userId);
  });
  return {};
}

async function deleteAlias({ ctx, session, params }: AuthedCall): Promise<unknown> {
  const alias = params["alias"]!;
  await ctx.db.write(() => {
    const row = ctx.db.get("SELECT room_id, creator FROM aliases WHERE alias = ?", alias);
    if (row === undefined) throw notFound(`Cannot find room alias "${alias}"`);
    const roomId = String(row["room_id"]);
    const levels = roomLevels(ctx.db, roomId);
    const may = row["creator"] === session.userId || session.admin ||
      (membershipAt(ctx.db, roomId, session.userId, Number.MAX_SAFE_INTEGER) === "join" &&
        levels.user(session.userId) >= levels.event("m.room.canonical_alias", true));
    if (!may) throw forbidden(`Cannot delete alias "${alias}": it belongs to another user`);
    ctx.db.run("DELETE FROM aliases WHERE alias = ?", alias);
  });
  return {};
}
