// SPDX-License-Identifier: Apache-2.0

/** State, messages, redactions, history. */
import { append, checkRedaction } from "../append.ts";
import type { Context, Session } from "../context.ts";
import { badJson, invalidParam, MatrixError, notFound } from "../errors.ts";
import { matchesEvent, parseEventFilter } from "../filter.ts";
import type { AuthedCall, Body, Routes } from "../http.ts";
import { isForwards, optionalString, queryInteger } from "../params.ts";
import type { Content } from "../power_levels.ts";
import { checkRelation, withRelations } from "../relations.ts";
import {
  contentOf,
  eventById,
  eventRange,
  stateAt,
  stateEventAt,
  type StoredEvent,
  toClient,
} from "../store/events.ts";
import { readableUpTo, roomRow, visibility } from "../store/members.ts";
import { formatToken, parseToken } from "../tokens.ts";

export function eventRoutes(routes: Routes): void {
  routes
    .on("GET", "/rooms/:roomId/state", allState)
    .on("GET", "/rooms/:roomId/state/:type", getState)
    .on("GET", "/rooms/:roomId/state/:type/*key", getState)
    .on("PUT", "/rooms/:roomId/state/:type", putState)
    .on("PUT", "/rooms/:roomId/state/:type/*key", putState)
    .on("PUT", "/rooms/:roomId/send/:type/:txnId", send)
    .on("PUT", "/rooms/:roomId/redact/:eventId/:txnId", redact)
    .on("POST", "/rooms/:roomId/redact/:eventId", redact)
    .on(
      "GET",
      "/rooms/:roomId/event/:eventId",
      (call) =>
        withRelations(call.ctx, visibleEvent(call.ctx, call.session, call.params), call.session),
    )
    .on("GET", "/rooms/:roomId/context/:eventId", context)
    .on("GET", "/rooms/:roomId/messages", messages)
    .on("GET", "/rooms/:roomId/timestamp_to_event", timestampToEvent, ["v1"]);
}

function allState({ ctx, session, params }: AuthedCall): unknown {
  const roomId = params["roomId"]!;
  roomRow(ctx.db, roomId);
  const now = ctx.clock.now();
  return stateAt(ctx.db, roomId, readableUpTo(ctx.db, roomId, session.userId))
    .map((event) => toClient(ctx.db, event, session, now));
}

function getState({ ctx, session, params, query }: AuthedCall): unknown {
  const [roomId, type, key] = [params["roomId"]!, params["type"]!, params["key"] ?? ""];
  roomRow(ctx.db, roomId);
  const upTo = readableUpTo(ctx.db, roomId, session.userId);
  const event = stateEventAt(ctx.db, roomId, type, key, upTo);
  if (event === undefined) throw notFound(`Cannot find state "${type}" "${key}" in the room`);
  return query.get("format") === "event"
    ? toClient(ctx.db, event, session, ctx.clock.now())
    : contentOf(event);
}

async function putState(call: AuthedCall): Promise<unknown> {
  const { ctx, session, params } = call;
  ctx.limits.take("write", session.userId);
  const content = await call.body();
  const type = params["type"]!;
  return await ctx.db.write(() => {
    if (type === "m.room.canonical_alias") checkAliases(ctx, params["roomId"]!, content);
    if (type === "m.room.create") throw badJson("Cannot change how the room was created");
    const event = append(ctx, {
      roomId: params["roomId"]!,
      type,
      state_key: params["key"] ?? "",
      sender: session.userId,
      content,
    });
    return { event_id: event.event_id };
  });
}

/** @throws {MatrixError} M_BAD_ALIAS when a new alias does not lead to this room */
function checkAliases(ctx: Context, roomId: string, content: Content): void {
  const before = stateEventAt(
    ctx.db,
    roomId,
    "m.room.canonical_alias",
    "",
    Number.MAX_SAFE_INTEGER,
  );
  const known = before === undefined ? {} : contentOf(before);
  const named = (from: Content): unknown[] => [
    ...(from["alias"] === undefined || from["alias"] === null || from["alias"] === ""
      ? []
      : [from["alias"]]),
    ...(Array.isArray(from["alt_aliases"]) ? from["alt_aliases"] : []),
  ];
  const old = new Set(named(known));
  for (const alias of named(content)) {
    if (old.has(alias)) continue;
    if (typeof alias !== "string" || !/^#[^:]+:.+$/.test(alias)) {
      throw invalidParam("Cannot set the room's alias: it is not a room alias");
    }
    const row = ctx.db.get("SELECT room_id FROM aliases WHERE alias = ?", alias);
    if (row?.["room_id"] !== roomId) {
      throw new MatrixError(
        400,
        "M_BAD_ALIAS",
        `Cannot set the room's alias: "${alias}" does not lead to this room`,
      );
    }
  }
}

/**
 * Runs once per device and path: a repeated request gets the first answer.
 * Inside `db.write`.
 */
export function once<T extends Body>(
  ctx: Context,
  session: Session,
  path: string,
  work: () => T,
): T {
  const { db } = ctx;
  const known = db.get(
    "SELECT response FROM transactions WHERE user_id = ? AND device_id = ? AND path = ?",
    session.userId,
    session.deviceId,
    path,
  );
  if (known !== undefined) return JSON.parse(String(known["response"]));
  const response = work();
  db.run(
    "INSERT INTO transactions VALUES (?, ?, ?, ?, ?)",
    session.userId,
    session.deviceId,
    path,
    JSON.stringify(response),
    ctx.clock.now(),
  );
  return response;
}

/** Encoded, as a type or an id may hold the slash that parts them from the next. */
export const transactionPath = (...parts: string[]): string =>
  parts.map((part) => encodeURIComponent(part.toWellFormed())).join("/");

async function send(call: AuthedCall): Promise<unknown> {
  const { ctx, session, params } = call;
  ctx.limits.take("write", session.userId);
  const content = await call.body();
  const { roomId, type, txnId } = params as { roomId: string; type: string; txnId: string };
  return await ctx.db.write(() =>
    once(ctx, session, transactionPath("send", roomId, type, txnId), () => {
      // As an event of its own type a redaction must pass the same door.
      const redacts = type === "m.room.redaction" ? optionalString(content, "redacts") : undefined;
      if (redacts !== undefined) checkRedaction(ctx.db, roomId, redacts, session.userId);
      checkRelation(ctx.db, roomId, session.userId, type, content);
      const event = append(ctx, {
        roomId,
        type,
        sender: session.userId,
        content,
        ...(redacts === undefined ? {} : { redacts }),
        deviceId: session.deviceId,
        txnId,
      });
      return { event_id: event.event_id };
    })
  );
}

async function redact(call: AuthedCall): Promise<unknown> {
  const { ctx, session, params } = call;
  ctx.limits.take("write", session.userId);
  const reason = optionalString(await call.body(), "reason");
  const { roomId, eventId, txnId } = params as { roomId: string; eventId: string; txnId?: string };
  const work = () => {
    const room = roomRow(ctx.db, roomId);
    checkRedaction(ctx.db, roomId, eventId, session.userId);
    const event = append(ctx, {
      roomId,
      type: "m.room.redaction",
      sender: session.userId,
      content: {
        ...(room.version === "10" ? {} : { redacts: eventId }),
        ...(reason === undefined ? {} : { reason }),
      },
      redacts: eventId,
      deviceId: session.deviceId,
      ...(txnId === undefined ? {} : { txnId }),
    });
    return { event_id: event.event_id };
  };
  return await ctx.db.write(() =>
    txnId === undefined
      ? work()
      : once(ctx, session, transactionPath("redact", roomId, eventId, txnId), work)
  );
}

/** @throws {MatrixError} M_NOT_FOUND: what may not be seen does not exist */
export function visibleEvent(
  ctx: Context,
  session: Session,
  params: Readonly<Record<string, string>>,
): StoredEvent {
  const [roomId, eventId] = [params["roomId"]!, params["eventId"]!];
  const event = eventById(ctx.db, eventId);
  if (
    event === undefined || event.room_id !== roomId ||
    !visibility(ctx.db, roomId, session.userId)(event.so)
  ) throw notFound(`Cannot find event "${eventId}" in the room`);
  return event;
}

/** Events are read in pages of this many until enough visible ones are found. */
const PAGE = 100;
/** Pages read for one answer at most; the client goes on from its `end`. */
const MAX_PAGES = 20;

function messages({ ctx, session, params, query }: AuthedCall): unknown {
  const roomId = params["roomId"]!;
  roomRow(ctx.db, roomId);
  readableUpTo(ctx.db, roomId, session.userId);
  const backwards = !isForwards(query, "f");
  const limit = Math.max(1, queryInteger(query, "limit", 10, 1000));
  const filter = parseEventFilter(query.get("filter"));
  const canSee = visibility(ctx.db, roomId, session.userId);
  const [from, to] = [query.get("from"), query.get("to")];
  const start = from === null ? (backwards ? ctx.db.position : 0) : parseToken(from);
  const stop = to === null ? (backwards ? 0 : ctx.db.position) : parseToken(to);
  const chunk: StoredEvent[] = [];
  let at = start;
  let more = true;
  for (let page = 0; more && page < MAX_PAGES; page++) {
    const rows = backwards
      ? eventRange(ctx.db, roomId, stop, at, "DESC", PAGE)
      : eventRange(ctx.db, roomId, at, stop, "ASC", PAGE);
    more = rows.length === PAGE;
    for (const event of rows) {
      at = backwards ? event.so - 1 : event.so;
      if (canSee(event.so) && matchesEvent(filter, event)) chunk.push(event);
      if (chunk.length < limit) continue;
      more = true;
      break;
    }
    if (chunk.length >= limit) break;
  }
  const now = ctx.clock.now();
  const state = filter.lazyLoadMembers ? membersFor(ctx, roomId, chunk) : [];
  return {
    start: formatToken(start),
    ...(more ? { end: formatToken(at) } : {}),
    chunk: chunk.map((event) => withRelations(ctx, event, session)),
    ...(state.length === 0
      ? {}
      : { state: state.map((event) => toClient(ctx.db, event, session, now)) }),
  };
}

/** The member events of who speaks in `events`. */
export function membersFor(
  ctx: Context,
  roomId: string,
  events: readonly StoredEvent[],
): StoredEvent[] {
  const last = Math.max(0, ...events.map((event) => event.so));
  return [...new Set(events.map((event) => event.sender))].flatMap((sender) =>
    stateEventAt(ctx.db, roomId, "m.room.member", sender, last) ?? []
  );
}

function context(call: AuthedCall): unknown {
  const { ctx, session, params, query } = call;
  const event = visibleEvent(ctx, session, params);
  const limit = queryInteger(query, "limit", 10, 100);
  const canSee = visibility(ctx.db, event.room_id, session.userId);
  const side = (rows: StoredEvent[]) => rows.filter((row) => canSee(row.so));
  const before = side(
    eventRange(ctx.db, event.room_id, 0, event.so - 1, "DESC", Math.floor(limit / 2)),
  );
  const after = side(eventRange(
    ctx.db,
    event.room_id,
    event.so,
    Number.MAX_SAFE_INTEGER,
    "ASC",
    Math.ceil(limit / 2),
  ));
  const now = ctx.clock.now();
  const last = after.at(-1)?.so ?? event.so;
  return {
    event: withRelations(ctx, event, session),
    events_before: before.map((row) => withRelations(ctx, row, session)),
    events_after: after.map((row) => withRelations(ctx, row, session)),
    state: stateAt(ctx.db, event.room_id, last).map((row) => toClient(ctx.db, row, session, now)),
    start: formatToken((before.at(-1)?.so ?? event.so) - 1),
    end: formatToken(last),
  };
}

function timestampToEvent({ ctx, session, params, query }: AuthedCall): unknown {
  const roomId = params["roomId"]!;
  roomRow(ctx.db, roomId);
  readableUpTo(ctx.db, roomId, session.userId);
  const ts = queryInteger(query, "ts", 0, Number.MAX_SAFE_INTEGER);
  const forwards = isForwards(query, "f");
  const canSee = visibility(ctx.db, roomId, session.userId);
  const rows = ctx.db.all(
    forwards
      ? "SELECT so, event_id, ts FROM events WHERE room_id = ? AND ts >= ? ORDER BY ts, so LIMIT 100"
      : "SELECT so, event_id, ts FROM events WHERE room_id = ? AND ts <= ? ORDER BY ts DESC, so DESC LIMIT 100",
    roomId,
    ts,
  );
  const found = rows.find((row) => canSee(Number(row["so"])));
  if (found === undefined) throw notFound("Cannot find an event at that time");
  return { event_id: found["event_id"], origin_server_ts: found["ts"] };
}
