// SPDX-License-Identifier: Apache-2.0

/** Finding rooms: the public list and the tree of a space. */
import type { Context } from "../context.ts";
import { roomLevels } from "../append.ts";
import { forbidden, invalidParam } from "../errors.ts";
import type { AuthedCall, Call, Routes } from "../http.ts";
import { optionalObject, optionalString, queryInteger } from "../params.ts";
import { asEvents, contentOf, currentState } from "../store/events.ts";
import { existingRoom, isJoined, membership, requireJoined, roomRow } from "../store/members.ts";

export function discoveryRoutes(routes: Routes): void {
  routes
    .open(
      "GET",
      "/publicRooms",
      (call) =>
        publicRooms(
          call.ctx,
          queryInteger(call.query, "limit", 100, 500),
          call.query.get("since"),
          "",
        ),
    )
    .on("POST", "/publicRooms", async (call) => {
      const body = await call.body();
      const limit = typeof body["limit"] === "number" ? Math.min(body["limit"], 500) : 100;
      const term = optionalString(optionalObject(body, "filter") ?? {}, "generic_search_term") ??
        "";
      return publicRooms(call.ctx, limit, optionalString(body, "since") ?? null, term);
    })
    .open("GET", "/directory/list/room/:roomId", ({ ctx, params }: Call) => ({
      visibility: existingRoom(ctx.db, params["roomId"]!).published === 1 ? "public" : "private",
    }))
    .on("PUT", "/directory/list/room/:roomId", async (call) => {
      const { ctx, session, params } = call;
      const roomId = params["roomId"]!;
      const visible = optionalString(await call.body(), "visibility") ?? "public";
      if (visible !== "public" && visible !== "private") {
        throw invalidParam('Cannot publish the room: "visibility" is neither public nor private');
      }
      await ctx.db.write(() => {
        roomRow(ctx.db, roomId);
        requireJoined(ctx.db, roomId, session.userId);
        const levels = roomLevels(ctx.db, roomId);
        if (levels.user(session.userId) < levels.event("m.room.canonical_alias", true)) {
          throw forbidden("Cannot publish the room: your power level is too low");
        }
        ctx.db.run(
          "UPDATE rooms SET published = ? WHERE room_id = ?",
          visible === "public" ? 1 : 0,
          roomId,
        );
      });
      return {};
    })
    .on("GET", "/rooms/:roomId/hierarchy", hierarchy, ["v1"]);
}

/** What a directory tells about a room. */
function roomSummary(ctx: Context, roomId: string): Record<string, unknown> {
  const { db } = ctx;
  const field = (type: string, name: string): unknown => {
    const event = currentState(db, roomId, type, "");
    return event === undefined ? undefined : contentOf(event)[name];
  };
  const count = db.get(
    "SELECT count(*) AS n FROM members WHERE room_id = ? AND membership = 'join'",
    roomId,
  );
  const summary: Record<string, unknown> = {
    room_id: roomId,
    num_joined_members: count?.["n"] ?? 0,
    world_readable: field("m.room.history_visibility", "history_visibility") === "world_readable",
    guest_can_join: field("m.room.guest_access", "guest_access") === "can_join",
    join_rule: field("m.room.join_rules", "join_rule") ?? "invite",
    name: field("m.room.name", "name"),
    topic: field("m.room.topic", "topic"),
    avatar_url: field("m.room.avatar", "url"),
    canonical_alias: field("m.room.canonical_alias", "alias"),
    room_type: field("m.room.create", "type"),
  };
  return Object.fromEntries(Object.entries(summary).filter(([, value]) => value !== undefined));
}

function publicRooms(ctx: Context, limit: number, since: string | null, term: string): unknown {
  const start = since === null ? 0 : Number(/^p(\d{1,9})$/.exec(since)?.[1] ?? 0);
  const wanted = term.toLowerCase();
  const rooms = ctx.db.all("SELECT room_id FROM rooms WHERE published = 1 ORDER BY room_id")
    .map((row) => roomSummary(ctx, String(row["room_id"])))
    .filter((room) =>
      wanted === "" ||
      [room["name"], room["topic"], room["canonical_alias"]].some((text) =>
        typeof text === "string" && text.toLowerCase().includes(wanted)
      )
    );
  const end = start + Math.max(1, limit);
  return {
    chunk: rooms.slice(start, end),
    total_room_count_estimate: rooms.length,
    ...(end < rooms.length ? { next_batch: `p${end}` } : {}),
    ...(start > 0 ? { prev_batch: `p${Math.max(0, start - limit)}` } : {}),
  };
}

/** Rooms of one answer's walk at most. */
const MAX_WALK = 1_000;

/** The tree below a space, depth first; a room appears once, and only to who may see it. */
function hierarchy({ ctx, session, params, query }: AuthedCall): unknown {
  const root = params["roomId"]!;
  roomRow(ctx.db, root);
  if (!maySee(ctx, root, session.userId)) {
    throw forbidden(`Cannot read room "${root}": ${session.userId} is not in it`);
  }
  const limit = Math.max(1, queryInteger(query, "limit", 50, 100));
  const depth = queryInteger(query, "max_depth", 20, 50);
  const suggestedOnly = query.get("suggested_only") === "true";
  const start = Number(/^h(\d{1,6})$/.exec(query.get("from") ?? "")?.[1] ?? 0);
  const seen = new Set<string>([root]);
  const rooms: unknown[] = [];
  const stack: { roomId: string; level: number }[] = [{ roomId: root, level: 0 }];
  while (stack.length > 0 && rooms.length < Math.min(MAX_WALK, start + limit + 1)) {
    const { roomId, level } = stack.pop()!;
    if (!maySee(ctx, roomId, session.userId)) continue;
    const children = childrenOf(ctx, roomId, suggestedOnly);
    rooms.push({
      ...roomSummary(ctx, roomId),
      children_state: children.map((event) => ({
        type: event.type,
        state_key: event.state_key,
        sender: event.sender,
        content: contentOf(event),
        origin_server_ts: event.ts,
      })),
    });
    if (level >= depth) continue;
    for (const child of children.reverse()) {
      if (child.state_key === null || seen.has(child.state_key)) continue;
      seen.add(child.state_key);
      stack.push({ roomId: child.state_key, level: level + 1 });
    }
  }
  return {
    rooms: rooms.slice(start, start + limit),
    ...(rooms.length > start + limit ? { next_batch: `h${start + limit}` } : {}),
  };
}

function childrenOf(ctx: Context, roomId: string, suggestedOnly: boolean) {
  const order = (content: Readonly<Record<string, unknown>>) =>
    typeof content["order"] === "string" ? content["order"] : "\uffff";
  return asEvents(ctx.db.all(
    "SELECT e.* FROM state s JOIN events e ON e.so = s.so WHERE s.room_id = ? AND s.type = 'm.space.child'",
    roomId,
  )).filter((event) => {
    const content = contentOf(event);
    return Array.isArray(content["via"]) && (!suggestedOnly || content["suggested"] === true);
  }).sort((a, b) => {
    const [x, y] = [order(contentOf(a)), order(contentOf(b))];
    return x < y ? -1 : x > y ? 1 : a.so - b.so;
  });
}

/** Members and invited see a room in a tree; others if they could join or read it. */
function maySee(ctx: Context, roomId: string, userId: string): boolean {
  if (ctx.db.get("SELECT 1 AS yes FROM rooms WHERE room_id = ?", roomId) === undefined) {
    return false;
  }
  if (isJoined(ctx.db, roomId, userId)) return true;
  if (membership(ctx.db, roomId, userId)?.membership === "invite") return true;
  const rules = currentState(ctx.db, roomId, "m.room.join_rules", "");
  const content = rules === undefined ? {} : contentOf(rules);
  if (content["join_rule"] === "public" || content["join_rule"] === "knock") return true;
  const visible = currentState(ctx.db, roomId, "m.room.history_visibility", "");
  if (visible !== undefined && contentOf(visible)["history_visibility"] === "world_readable") {
    return true;
  }
  const allow = content["allow"];
  return (content["join_rule"] === "restricted" || content["join_rule"] === "knock_restricted") &&
    Array.isArray(allow) &&
    allow.some((entry) =>
      typeof entry?.room_id === "string" && isJoined(ctx.db, entry.room_id, userId)
    );
}
