// SPDX-License-Identifier: Apache-2.0

/** Synapse-shaped admin calls, for accounts that were registered as admin. */
import { hashPassword, removeAllDevices } from "../accounts.ts";
import { append } from "../append.ts";
import { type Context, randomText } from "../context.ts";
import { deactivate } from "../deactivate.ts";
import { forbidden, invalidParam, notFound } from "../errors.ts";
import type { AuthedCall, AuthedHandler, Routes } from "../http.ts";
import { optionalString, queryInteger, requiredString } from "../params.ts";
import { contentOf, currentState } from "../store/events.ts";
import { existingRoom } from "../store/members.ts";

export function adminRoutes(routes: Routes): void {
  const admin = (method: string, path: string, handler: AuthedHandler) =>
    routes.raw(method, `/_synapse/admin${path}`, {
      open: false,
      handler: (call) => {
        if (!call.session.admin) throw forbidden("Cannot serve this: you are not a server admin");
        return handler(call);
      },
    });
  admin("POST", "/v1/deactivate/:userId", async ({ ctx, params }) => {
    await ctx.db.write(() => {
      requireUser(ctx, params["userId"]!);
      deactivate(ctx, params["userId"]!);
    });
    return { id_server_unbind_result: "success" };
  });
  admin("PUT", "/v2/users/:userId", changeUser);
  admin("GET", "/v1/whois/:userId", ({ ctx, params }) => whois(ctx, params["userId"]!));
  routes.on("GET", "/admin/whois/:userId", ({ ctx, params, session }) => {
    if (!session.admin && session.userId !== params["userId"]) {
      throw forbidden("Cannot serve this: you are not a server admin");
    }
    return whois(ctx, params["userId"]!);
  });
  admin("POST", "/v1/users/:userId/logout", async ({ ctx, params }) => {
    await ctx.db.write(() => removeAllDevices(ctx, requireUser(ctx, params["userId"]!)));
    return {};
  });
  admin("GET", "/v1/rooms", listRooms);
  admin("DELETE", "/v1/rooms/:roomId", deleteRoom);
  admin("POST", "/v1/registration_tokens/new", newToken);
  admin("GET", "/v1/registration_tokens", ({ ctx }) => ({
    registration_tokens: ctx.db.all("SELECT * FROM registration_tokens").map((row) => ({
      token: row["token"],
      uses_allowed: row["uses_allowed"],
      completed: row["used"],
      pending: 0,
      expiry_time: row["expires_ts"],
    })),
  }));
}

/** Another password for an account, which opens a deactivated one again when told so. Makes none. */
async function changeUser(call: AuthedCall): Promise<unknown> {
  const { ctx, params } = call;
  const user = params["userId"]!;
  const body = await call.body();
  const password = requiredString(body, "password");
  const hash = await hashPassword(password);
  return await ctx.db.write(() => {
    requireUser(ctx, user);
    const row = ctx.db.get("SELECT deactivated FROM users WHERE user_id = ?", user)!;
    if (row["deactivated"] === 1 && body["deactivated"] !== false) {
      throw invalidParam(`Cannot change "${user}": it is deactivated; say "deactivated": false`);
    }
    ctx.db.run("UPDATE users SET password = ?, deactivated = 0 WHERE user_id = ?", hash, user);
    if (body["logout_devices"] !== false) removeAllDevices(ctx, user);
    return { name: user, deactivated: false };
  });
}

function requireUser(ctx: Context, userId: string): string {
  if (ctx.db.get("SELECT 1 AS yes FROM users WHERE user_id = ?", userId) === undefined) {
    throw notFound(`Cannot find user "${userId}"`);
  }
  return userId;
}

function whois(ctx: Context, userId: string): unknown {
  requireUser(ctx, userId);
  const devices = ctx.db.all("SELECT * FROM devices WHERE user_id = ?", userId);
  return {
    user_id: userId,
    devices: Object.fromEntries(devices.map((row) => [row["device_id"], {
      sessions: [{
        connections: [{ ip: row["last_seen_ip"], last_seen: row["last_seen_ts"] }],
      }],
    }])),
  };
}

function listRooms({ ctx, query }: AuthedCall): unknown {
  const limit = queryInteger(query, "limit", 100, 1000);
  const from = queryInteger(query, "from", 0, Number.MAX_SAFE_INTEGER);
  const total = Number(ctx.db.get("SELECT count(*) AS n FROM rooms")!["n"]);
  const rooms = ctx.db.all(
    "SELECT r.room_id, r.version, r.creator, r.published, (SELECT count(*) FROM members m WHERE m.room_id = r.room_id AND m.membership = 'join') AS joined, (SELECT count(*) FROM state s WHERE s.room_id = r.room_id) AS state FROM rooms r ORDER BY r.created_ts, r.room_id LIMIT ? OFFSET ?",
    limit,
    from,
  ).map((row) => {
    const name = currentState(ctx.db, String(row["room_id"]), "m.room.name", "");
    return {
      room_id: row["room_id"],
      name: name === undefined ? null : contentOf(name)["name"] ?? null,
      version: row["version"],
      creator: row["creator"],
      public: row["published"] === 1,
      joined_members: row["joined"],
      joined_local_members: row["joined"],
      state_events: row["state"],
    };
  });
  return {
    rooms,
    offset: from,
    total_rooms: total,
    ...(from + rooms.length < total ? { next_batch: from + rooms.length } : {}),
  };
}

const ROOM_TABLES = ["aliases", "state", "members", "receipts", "account_data", "events", "rooms"];

/** Puts everybody out, blocks or purges. A purge removes the room and its history for good. */
async function deleteRoom(call: AuthedCall): Promise<unknown> {
  const { ctx, params } = call;
  const roomId = params["roomId"]!;
  const body = await call.body();
  return await ctx.db.write(() => {
    const { db } = ctx;
    existingRoom(db, roomId);
    const kicked = db.all(
      "SELECT user_id FROM members WHERE room_id = ? AND membership IN ('join', 'invite', 'knock')",
      roomId,
    ).map((row) => String(row["user_id"]));
    for (const userId of kicked) {
      append(ctx, {
        roomId,
        type: "m.room.member",
        state_key: userId,
        sender: userId,
        content: { membership: "leave" },
      });
    }
    const aliases = db.all("SELECT alias FROM aliases WHERE room_id = ?", roomId);
    if (body["purge"] === false || body["block"] === true) {
      db.run("DELETE FROM aliases WHERE room_id = ?", roomId);
      db.run(
        "UPDATE rooms SET blocked = ?, published = 0 WHERE room_id = ?",
        body["block"] === true ? 1 : 0,
        roomId,
      );
    } else {
      for (const table of ROOM_TABLES) db.run(`DELETE FROM ${table} WHERE room_id = ?`, roomId);
    }
    return {
      kicked_users: kicked,
      failed_to_kick_users: [],
      local_aliases: aliases.map((row) => row["alias"]),
      new_room_id: null,
    };
  });
}

async function newToken(call: AuthedCall): Promise<unknown> {
  const { ctx } = call;
  const body = await call.body();
  const token = optionalString(body, "token") ?? randomText(16);
  if (!/^[A-Za-z0-9._~-]{1,64}$/.test(token)) {
    throw invalidParam("Cannot make the token: it has characters that a token can't have");
  }
  const uses = body["uses_allowed"] ?? null;
  const expires = body["expiry_time"] ?? null;
  if ([uses, expires].some((v) => v !== null && (!Number.isSafeInteger(v) || Number(v) < 0))) {
    throw invalidParam("Cannot make the token: a limit is not a whole number");
  }
  await ctx.db.write(() => {
    if (ctx.db.get("SELECT 1 AS yes FROM registration_tokens WHERE token = ?", token)) {
      throw invalidParam(`Cannot make the token: "${token}" exists already`);
    }
    ctx.db.run(
      "INSERT INTO registration_tokens VALUES (?, ?, 0, ?)",
      token,
      uses as number | null,
      expires as number | null,
    );
  });
  return { token, uses_allowed: uses, pending: 0, completed: 0, expiry_time: expires };
}
