// SPDX-License-Identifier: Apache-2.0

/** Events that point at another: edits, threads, reactions, references. */
import { invalidParam } from "../errors.ts";
import type { AuthedCall, Routes } from "../http.ts";
import { isForwards, queryInteger } from "../params.ts";
import { withRelations } from "../relations.ts";
import { asEvents } from "../store/events.ts";
import { readableUpTo, roomRow, visibility } from "../store/members.ts";
import { formatToken, parseToken } from "../tokens.ts";
import { visibleEvent } from "./events.ts";

export function relationRoutes(routes: Routes): void {
  const versions = ["v1", "unstable"];
  routes
    .on("GET", "/rooms/:roomId/relations/:eventId", relations, versions)
    .on("GET", "/rooms/:roomId/relations/:eventId/:relType", relations, versions)
    .on("GET", "/rooms/:roomId/relations/:eventId/:relType/:type", relations, versions)
    .on("GET", "/rooms/:roomId/threads", threads, ["v1"]);
}

function page(call: AuthedCall, where: string, values: (string | number)[], backwards: boolean) {
  const { ctx, session, params, query } = call;
  const roomId = params["roomId"]!;
  const limit = Math.max(1, queryInteger(query, "limit", 50, 200));
  const [from, to] = [query.get("from"), query.get("to")];
  const canSee = visibility(ctx.db, roomId, session.userId);
  const start = from === null ? (backwards ? ctx.db.position : 0) : parseToken(from);
  const stop = to === null ? (backwards ? 0 : ctx.db.position) : parseToken(to);
  const rows = asEvents(ctx.db.all(
    `SELECT * FROM events e WHERE room_id = ? AND so > ? AND so <= ? AND ${where} ORDER BY so ${
      backwards ? "DESC" : "ASC"
    } LIMIT ?`,
    roomId,
    backwards ? stop : start,
    backwards ? start : stop,
    ...values,
    limit + 1,
  ));
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return {
    chunk: shown.filter((event) => canSee(event.so))
      .map((event) => withRelations(ctx, event, session)),
    ...(rows.length > limit && last !== undefined
      ? { next_batch: formatToken(backwards ? last.so - 1 : last.so) }
      : {}),
  };
}

function relations(call: AuthedCall): unknown {
  const root = visibleEvent(call.ctx, call.session, call.params);
  const { relType, type } = call.params;
  let where = "rel_to = ? AND redacted_by IS NULL";
  const values: string[] = [root.event_id];
  if (relType !== undefined) {
    where += " AND rel_type = ?";
    values.push(relType);
  }
  if (type !== undefined) {
    where += " AND type = ?";
    values.push(type);
  }
  return page(call, where, values, !isForwards(call.query, "b"));
}

/** By newest reply first. A position in the list is one in the room: threads that moved on are not missed. */
function threads(call: AuthedCall): unknown {
  const { ctx, session, params, query } = call;
  const roomId = params["roomId"]!;
  roomRow(ctx.db, roomId);
  readableUpTo(ctx.db, roomId, session.userId);
  const include = query.get("include") ?? "all";
  if (include !== "all" && include !== "participated") {
    throw invalidParam('Cannot list threads: "include" is neither all nor participated');
  }
  const limit = Math.max(1, queryInteger(query, "limit", 50, 200));
  const from = query.get("from");
  const canSee = visibility(ctx.db, roomId, session.userId);
  const rows = ctx.db.all(
    `SELECT e.*, max(r.so) AS last FROM events r JOIN events e ON e.event_id = r.rel_to AND e.room_id = r.room_id
     WHERE r.room_id = ? AND r.rel_type = 'm.thread' AND r.redacted_by IS NULL
     GROUP BY e.event_id
     HAVING last <= ? AND (? = 'all' OR e.sender = ? OR sum(r.sender = ?) > 0)
     ORDER BY last DESC LIMIT ?`,
    roomId,
    from === null ? ctx.db.position : parseToken(from),
    include,
    session.userId,
    session.userId,
    limit + 1,
  );
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return {
    chunk: asEvents(shown).filter((event) => canSee(event.so))
      .map((event) => withRelations(ctx, event, session)),
    ...(rows.length > limit && last !== undefined
      ? { next_batch: formatToken(Number(last["last"]) - 1) }
      : {}),
  };
}
