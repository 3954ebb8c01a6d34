// SPDX-License-Identifier: Apache-2.0

/** What belongs to one user: sync, filters, profile, account data, receipts, typing, presence. */
import { encodeContent } from "../append.ts";
import type { Context } from "../context.ts";
import { announceProfile } from "../create_room.ts";
import { badJson, forbidden, invalidParam, MatrixError, notFound } from "../errors.ts";
import { loadSyncFilter, storedFilter } from "../filter.ts";
import type { AuthedCall, Body, Routes } from "../http.ts";
import { isObject, optionalString, queryInteger } from "../params.ts";
import { presenceContent, PRESENCES } from "../presence.ts";
import { fullProfile } from "../profiles.ts";
import { eventById } from "../store/events.ts";
import { requireJoined, usersIn } from "../store/members.ts";
import { sync } from "../sync.ts";

/** Longest wait of one poll. */
const MAX_TIMEOUT_MS = 120_000;

export function userRoutes(routes: Routes): void {
  routes
    .on("GET", "/sync", (call) => {
      const { ctx, session, query } = call;
      const presence = query.get("set_presence") ?? "online";
      if (PRESENCES.includes(presence)) showPresence(ctx, session.userId, presence);
      return sync(ctx, session, {
        since: query.get("since") ?? undefined,
        filter: loadSyncFilter(ctx, session.userId, query.get("filter")),
        timeoutMs: queryInteger(query, "timeout", 0, MAX_TIMEOUT_MS),
        fullState: query.get("full_state") === "true",
        gone: call.gone(),
      });
    })
    .on("POST", "/user/:userId/filter", async (call) => {
      const userId = own(call);
      const definition = JSON.stringify(await call.body());
      return await call.ctx.db.write(() => ({
        filter_id: storeFilter(call.ctx, userId, definition),
      }));
    })
    .on(
      "GET",
      "/user/:userId/filter/:filterId",
      (call) => storedFilter(call.ctx, own(call), call.params["filterId"]!),
    )
    .on("GET", "/user/:userId/account_data/:type", getAccountData)
    .on("PUT", "/user/:userId/account_data/:type", putAccountData)
    .on("GET", "/user/:userId/rooms/:roomId/account_data/:type", getAccountData)
    .on("PUT", "/user/:userId/rooms/:roomId/account_data/:type", putAccountData)
    .on("GET", "/user/:userId/rooms/:roomId/tags", (call) => tags(call))
    .on("PUT", "/user/:userId/rooms/:roomId/tags/:tag", async (call) => {
      const { tags: present } = tags(call);
      return await saveTags(call, { ...present, [call.params["tag"]!]: await call.body() });
    })
    .on("DELETE", "/user/:userId/rooms/:roomId/tags/:tag", async (call) => {
      const { [call.params["tag"]!]: _gone, ...rest } = tags(call).tags;
      return await saveTags(call, rest);
    })
    .open("GET", "/profile/:userId", ({ ctx, params }) => profile(ctx, params["userId"]!))
    .open("GET", "/profile/:userId/:field", ({ ctx, params }) => {
      const value = profile(ctx, params["userId"]!)[params["field"]!];
      if (value === undefined) throw notFound(`Cannot find "${params["field"]}" in the profile`);
      return { [params["field"]!]: value };
    })
    .on("PUT", "/profile/:userId/:field", putProfile)
    .on("DELETE", "/profile/:userId/:field", putProfile)
    .on("PUT", "/rooms/:roomId/typing/:userId", typing)
    .on("POST", "/rooms/:roomId/receipt/:type/:eventId", async (call) => {
      const thread = optionalString(await call.body(), "thread_id") ?? "";
      return await receipt(call, call.params["type"]!, call.params["eventId"]!, thread);
    })
    .on("POST", "/rooms/:roomId/read_markers", readMarkers)
    .on(
      "GET",
      "/presence/:userId/status",
      ({ ctx, params }) => presenceContent(ctx, params["userId"]!),
    )
    .on("PUT", "/presence/:userId/status", async (call) => {
      const userId = own(call);
      const body = await call.body();
      const presence = optionalString(body, "presence") ?? "";
      if (!PRESENCES.includes(presence)) throw invalidParam("Cannot set presence: not a presence");
      showPresence(call.ctx, userId, presence, optionalString(body, "status_msg"));
      return {};
    });
}

/** @throws {MatrixError} M_FORBIDDEN for anybody else's */
function own(call: AuthedCall): string {
  const userId = call.params["userId"]!;
  if (userId !== call.session.userId) {
    throw forbidden(`Cannot act for ${userId}: you are ${call.session.userId}`);
  }
  return userId;
}

function storeFilter(ctx: Context, userId: string, definition: string): string {
  const known = ctx.db.get(
    "SELECT filter_id FROM filters WHERE user_id = ? AND definition = ?",
    userId,
    definition,
  );
  if (known !== undefined) return String(known["filter_id"]);
  const next = Number(
    ctx.db.get(
      "SELECT coalesce(max(filter_id), 0) + 1 AS n FROM filters WHERE user_id = ?",
      userId,
    )!["n"],
  );
  ctx.db.run("INSERT INTO filters VALUES (?, ?, ?)", userId, next, definition);
  return String(next);
}

function getAccountData(call: AuthedCall): unknown {
  const row = call.ctx.db.get(
    "SELECT content FROM account_data WHERE user_id = ? AND room_id = ? AND type = ?",
    own(call),
    call.params["roomId"] ?? "",
    call.params["type"]!,
  );
  if (row === undefined) throw notFound(`Cannot find account data "${call.params["type"]}"`);
  return JSON.parse(String(row["content"]));
}

async function putAccountData(call: AuthedCall): Promise<unknown> {
  const type = call.params["type"]!;
  if (type === "m.fully_read" || type === "m.push_rules") {
    throw new MatrixError(405, "M_BAD_JSON", `Cannot set "${type}" as account data`);
  }
  await saveAccountData(call, type, await call.body());
  return {};
}

function saveAccountData(call: AuthedCall, type: string, content: Body): Promise<unknown> {
  const userId = own(call);
  const { ctx } = call;
  ctx.limits.take("write", userId);
  const roomId = call.params["roomId"] ?? "";
  const text = accountDataText(content);
  return ctx.db.write(() => {
    const so = ctx.db.next();
    ctx.db.run(
      "INSERT INTO account_data VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET content = excluded.content, so = excluded.so",
      userId,
      roomId,
      type,
      text,
      so,
    );
    if (roomId !== "") touchRoom(ctx, roomId, so);
    ctx.db.afterCommit(() => ctx.notifier.wakeUser(userId));
  });
}

/** Unlike an event's, a fraction is allowed here: a tag's order is one. @throws {MatrixError} M_BAD_JSON */
function accountDataText(content: Body): string {
  try {
    return JSON.stringify(content);
  } catch (thrown) {
    if (thrown instanceof RangeError) {
      throw badJson("Cannot keep account data: it is nested too deeply");
    }
    throw thrown;
  }
}

/** Marks a room as changed for what is not an event, so that sync looks at it. Inside `db.write`. */
function touchRoom(ctx: Context, roomId: string, so: number): void {
  ctx.db.run("UPDATE rooms SET last_so = ? WHERE room_id = ?", so, roomId);
}

function tags(call: AuthedCall): { tags: Body } {
  const row = call.ctx.db.get(
    "SELECT content FROM account_data WHERE user_id = ? AND room_id = ? AND type = 'm.tag'",
    own(call),
    call.params["roomId"]!,
  );
  const content: unknown = row === undefined ? {} : JSON.parse(String(row["content"]));
  return { tags: isObject(content) && isObject(content["tags"]) ? content["tags"] : {} };
}

async function saveTags(call: AuthedCall, all: Body): Promise<unknown> {
  await saveAccountData(call, "m.tag", { tags: all });
  return {};
}

function profile(ctx: Context, userId: string): Record<string, unknown> {
  const found = fullProfile(ctx, userId);
  if (found === undefined) throw notFound(`Cannot find the profile of "${userId}"`);
  return found;
}

/** Of the whole profile as JSON. */
const MAX_PROFILE_BYTES = 65_536;

async function putProfile(call: AuthedCall): Promise<unknown> {
  const userId = own(call);
  const { ctx } = call;
  ctx.limits.take("write", userId);
  const field = call.params["field"]!;
  const removed = call.request.method === "DELETE";
  const body = removed ? {} : await call.body();
  const value = body[field];
  if (!removed && value === undefined) throw badJson(`Cannot set the profile: no "${field}"`);
  if (
    !removed && (field === "displayname" || field === "avatar_url") && typeof value !== "string"
  ) {
    throw badJson(`Cannot set the profile: "${field}" is not a string`);
  }
  await ctx.db.write(() => {
    const { [field]: _old, ...rest } = profile(ctx, userId);
    const text = encodeContent(removed ? rest : { ...rest, [field]: value });
    if (text.length > MAX_PROFILE_BYTES) throw badJson("Cannot set the profile: it is too large");
    ctx.db.run("UPDATE users SET profile = ? WHERE user_id = ?", text, userId);
    if (field === "displayname" || field === "avatar_url") announceProfile(ctx, userId);
  });
  return {};
}

const MAX_TYPING_MS = 120_000;

async function typing(call: AuthedCall): Promise<unknown> {
  const userId = own(call);
  const { ctx } = call;
  const roomId = call.params["roomId"]!;
  requireJoined(ctx.db, roomId, userId);
  const body = await call.body();
  const wanted = body["timeout"];
  const ms = typeof wanted === "number" && wanted > 0 ? Math.min(wanted, MAX_TYPING_MS) : 30_000;
  const stop = () =>
    ctx.db.write(() => {
      const so = ctx.db.next();
      touchRoom(ctx, roomId, so);
      ctx.db.afterCommit(() => {
        ctx.ephemeral.stopTyping(roomId, userId, so);
        ctx.notifier.wakeRoom(roomId);
      });
    });
  if (body["typing"] !== true) {
    if (ctx.ephemeral.isTyping(roomId, userId)) await stop();
    return {};
  }
  await ctx.db.write(() => {
    const so = ctx.db.next();
    touchRoom(ctx, roomId, so);
    // An expiry that a full disk refuses leaves a stale "is typing" in memory, nothing worse.
    ctx.db.afterCommit(() => {
      ctx.ephemeral.startTyping(roomId, userId, ms, so, () => void stop().catch(() => {}));
      ctx.notifier.wakeRoom(roomId);
    });
  });
  return {};
}

async function readMarkers(call: AuthedCall): Promise<unknown> {
  const body = await call.body();
  const fullyRead = optionalString(body, "m.fully_read");
  if (fullyRead !== undefined) {
    const scoped = { ...call, params: { ...call.params, userId: call.session.userId } };
    await saveAccountData(scoped, "m.fully_read", { event_id: fullyRead });
  }
  for (const type of ["m.read", "m.read.private"]) {
    const eventId = optionalString(body, type);
    if (eventId !== undefined) await receipt(call, type, eventId, "");
  }
  return {};
}

async function receipt(
  call: AuthedCall,
  type: string,
  eventId: string,
  thread: string,
): Promise<unknown> {
  const { ctx, session } = call;
  const roomId = call.params["roomId"]!;
  requireJoined(ctx.db, roomId, session.userId);
  if (type === "m.fully_read") {
    const scoped = { ...call, params: { ...call.params, userId: session.userId } };
    await saveAccountData(scoped, "m.fully_read", { event_id: eventId });
    return {};
  }
  if (type !== "m.read" && type !== "m.read.private") {
    throw invalidParam(`Cannot send a receipt of type "${type}"`);
  }
  const event = eventById(ctx.db, eventId);
  if (event === undefined || event.room_id !== roomId) {
    throw notFound(`Cannot find event "${eventId}" in the room`);
  }
  await ctx.db.write(() => {
    const so = ctx.db.next();
    ctx.db.run(
      "INSERT INTO receipts VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET event_id = excluded.event_id, event_so = excluded.event_so, ts = excluded.ts, so = excluded.so WHERE excluded.event_so >= event_so",
      roomId,
      session.userId,
      type,
      thread,
      eventId,
      event.so,
      ctx.clock.now(),
      so,
    );
    touchRoom(ctx, roomId, so);
    ctx.db.afterCommit(() => ctx.notifier.wakeRoom(roomId));
  });
  return {};
}

/** Presence lives in memory; only a change moves the stream, so polling clients write nothing. */
function showPresence(ctx: Context, userId: string, presence: string, message?: string): void {
  const known = ctx.ephemeral.presenceOf(userId);
  const status = message ?? known?.status_msg;
  const now = ctx.clock.now();
  if (known?.presence === presence && known.status_msg === status) {
    ctx.ephemeral.setPresence(userId, { ...known, lastActive: now });
    return;
  }
  ctx.db.write(() => {
    const position = ctx.db.next();
    ctx.db.afterCommit(() => {
      ctx.ephemeral.setPresence(userId, {
        presence,
        status_msg: status,
        lastActive: now,
        position,
      });
      const near = new Set([userId]);
      for (
        const row of ctx.db.all(
          "SELECT room_id FROM members WHERE user_id = ? AND membership = 'join' LIMIT 200",
          userId,
        )
      ) {
        for (const other of usersIn(ctx.db, String(row["room_id"]), "join")) near.add(other);
      }
      for (const other of near) ctx.notifier.wakeUser(other);
    });
  }).catch((thrown: unknown) => {
    // Presence is a courtesy: a full disk must not break the poll that came with it.
    ctx.log.warn("cannot record presence", { error: String(thrown) });
  });
}
