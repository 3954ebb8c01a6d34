// SPDX-License-Identifier: Apache-2.0

/** One room's part of a sync answer. */
import type { Context, Session } from "./context.ts";
import { type EventFilter, matchesEvent, matchesTypeAndSender } from "./filter.ts";
import { withRelations } from "./relations.ts";
import { membersFor } from "./routes/events.ts";
import { eventRange, stateAt, stateDelta, type StoredEvent, toClient } from "./store/events.ts";
import { membershipAt, visibility } from "./store/members.ts";
import type { SyncRequest } from "./sync.ts";
import { formatToken } from "./tokens.ts";

const DEFAULT_TIMELINE = 10;
/** Events looked at for one timeline: a filter that matches little must not read a whole history. */
const MAX_SCAN = 1_000;

interface Timeline {
  readonly events: readonly StoredEvent[];
  readonly limited: boolean;
  /** State and history begin here: everything at or before it is not in the timeline. */
  readonly before: number;
  /** State events in the timeline's range that its filter took out. */
  readonly dropped: readonly StoredEvent[];
  readonly canSee: (so: number) => boolean;
}

/** Whether the user, joined at `since` and now, was out of the room in between. */
function wasAway(ctx: Context, session: Session, roomId: string, since: number): boolean {
  return ctx.db.get(
    "SELECT 1 AS yes FROM events WHERE room_id = ? AND type = 'm.room.member' AND state_key = ? AND state_key IS NOT NULL AND so > ? AND json_extract(content, '$.membership') <> 'join' LIMIT 1",
    roomId,
    session.userId,
    since,
  ) !== undefined;
}

/** @returns undefined when nothing in the room is news for this client */
export function joinedRoom(
  ctx: Context,
  session: Session,
  request: SyncRequest,
  roomId: string,
  since: number,
  upTo: number,
): Record<string, unknown> | undefined {
  const { filter, fullState } = request;
  const wasJoined = since > 0 && membershipAt(ctx.db, roomId, session.userId, since) === "join";
  // A room that is new to the client is told from its beginning, not from `since`.
  const from = wasJoined ? since : 0;
  const stayed = wasJoined && !wasAway(ctx, session, roomId, since);
  const line = timeline(ctx, session, filter.timeline, roomId, from, upTo, stayed);
  const whole = !wasJoined || fullState;
  const state = sectionState(ctx, session, request, roomId, line, whole ? 0 : since);
  const data = roomAccountData(ctx, session, filter.roomAccountData, roomId, from);
  const ephemeral = ephemeralEvents(ctx, session, filter.ephemeral, roomId, from);
  // Who wants no timeline at all (limit 0) is not woken by what was left out of it.
  const gap = line.limited && filter.timeline.limit !== 0;
  const isNews = gap || line.events.length + state.length + data.length + ephemeral.length > 0;
  if (!isNews && wasJoined && !fullState) return undefined;
  const membersChanged = [...line.events, ...state].some((e) => e.type === "m.room.member");
  return {
    timeline: timelineSection(ctx, session, line),
    state: { events: clientEvents(ctx, session, state) },
    account_data: { events: data },
    ephemeral: { events: ephemeral },
    unread_notifications: unread(ctx, session, roomId),
    ...(whole || membersChanged ? { summary: summary(ctx, session, roomId) } : {}),
  };
}

/** A room that the user left or was put out of, up to that moment. */
export function leftRoom(
  ctx: Context,
  session: Session,
  request: SyncRequest,
  roomId: string,
  since: number,
  leftAt: number,
): Record<string, unknown> | undefined {
  const { filter } = request;
  const wasJoined = since > 0 && membershipAt(ctx.db, roomId, session.userId, since) === "join";
  const from = wasJoined ? since : 0;
  const lastJoin = ctx.db.get(
    "SELECT max(so) AS so FROM events WHERE room_id = ? AND type = 'm.room.member' AND state_key = ? AND state_key IS NOT NULL AND json_extract(content, '$.membership') = 'join'",
    roomId,
    session.userId,
  )?.["so"];
  const hasStayed = wasJoined || Number(lastJoin ?? 0) > since;
  if (!hasStayed) {
    // A rejected invitation, a ban of who had left: the member event and nothing else of the room.
    const own = eventRange(ctx.db, roomId, leftAt - 1, leftAt, "ASC", 1);
    return {
      timeline: timelineSection(ctx, session, {
        events: own,
        limited: false,
        before: leftAt - 1,
        dropped: [],
        canSee: () => true,
      }),
    };
  }
  const whole = timeline(ctx, session, filter.timeline, roomId, from, leftAt, false);
  // Who left and was banned later does not learn the state between the two.
  const stayEnd = Number(
    ctx.db.get(
      "SELECT min(so) AS so FROM events WHERE room_id = ? AND type = 'm.room.member' AND state_key = ? AND state_key IS NOT NULL AND so > ?",
      roomId,
      session.userId,
      Number(lastJoin),
    )?.["so"] ?? leftAt,
  );
  const line: Timeline = {
    ...whole,
    before: Math.min(whole.before, stayEnd),
    dropped: whole.dropped.filter((event) => event.so <= stayEnd),
  };
  const state = sectionState(ctx, session, request, roomId, line, from);
  return {
    timeline: timelineSection(ctx, session, line),
    state: { events: clientEvents(ctx, session, state) },
    account_data: { events: [] },
  };
}

/** @param seesAll the user was in the room all the time, so nothing needs a visibility check */
function timeline(
  ctx: Context,
  session: Session,
  filter: EventFilter,
  roomId: string,
  from: number,
  upTo: number,
  seesAll: boolean,
): Timeline {
  const limit = filter.limit ?? DEFAULT_TIMELINE;
  const canSee = seesAll ? () => true : visibility(ctx.db, roomId, session.userId);
  const events: StoredEvent[] = [];
  const dropped: StoredEvent[] = [];
  const overtaken = new Set<string>();
  const shown = new Set<string>();
  let at = upTo;
  let scanned = 0;
  let limited = false;
  scan: while (true) {
    // Mostly the first page is enough; where a filter matches little, more is read at a time.
    const page = scanned === 0 ? Math.min(limit + 1, 200) : 200;
    const rows = eventRange(ctx.db, roomId, from, at, "DESC", page);
    for (const event of rows) {
      scanned++;
      if (canSee(event.so) && matchesEvent(filter, event)) {
        // Older than a state that is told outside of the timeline, it would undo that one.
        if (events.length >= limit || overtaken.has(slotOf(event))) {
          limited = true;
          break scan;
        }
        events.push(event);
        shown.add(slotOf(event));
      } else if (event.state_key !== null && !shown.has(slotOf(event))) {
        dropped.push(event);
        overtaken.add(slotOf(event));
      }
      at = event.so - 1;
    }
    if (rows.length < page) break;
    if (scanned >= MAX_SCAN) {
      limited = true;
      break;
    }
  }
  events.reverse();
  const oldest = events[0];
  const before = oldest === undefined ? upTo : oldest.so - 1;
  return {
    events,
    limited: limited || (from === 0 && hasBefore(ctx, roomId, before, canSee)),
    before,
    dropped: dropped.filter((event) => event.so > before).reverse(),
    canSee,
  };
}

/** Whether a new room has visible history before its timeline. */
function hasBefore(
  ctx: Context,
  roomId: string,
  before: number,
  canSee: (so: number) => boolean,
): boolean {
  return eventRange(ctx.db, roomId, 0, before, "DESC", 1).some((event) => canSee(event.so));
}

/**
 * State between `since` and the start of the timeline (the whole of it when `since` is 0), and what the
 * filter took out of the timeline: applying state, then timeline, gives the room's state.
 */
function sectionState(
  ctx: Context,
  session: Session,
  request: SyncRequest,
  roomId: string,
  line: Timeline,
  since: number,
): StoredEvent[] {
  const { filter } = request;
  const told = new Set(line.events.map(slotOf));
  const gap =
    (since === 0
      ? stateAt(ctx.db, roomId, line.before)
      : stateDelta(ctx.db, roomId, since, line.before))
      // What the timeline replaces is history: who may not see that gets the new value only.
      .filter((event) => !told.has(slotOf(event)) || line.canSee(event.so));
  const wanted = latestOfEach([...gap, ...line.dropped])
    .filter((event) => matchesEvent(filter.state, event));
  if (!filter.state.lazyLoadMembers && !filter.timeline.lazyLoadMembers) return wanted;
  const needed = new Set([session.userId, ...line.events.map((event) => event.sender)]);
  const lazy = wanted.filter((e) => e.type !== "m.room.member" || needed.has(e.state_key ?? ""));
  if (since === 0) return lazy;
  // Speakers of an incremental timeline: clients may not know them yet; telling twice is allowed.
  const present = new Set(lazy.map((event) => event.event_id));
  const inLine = new Set(line.events.map((event) => event.event_id));
  const speakers = membersFor(ctx, roomId, line.events)
    .filter((event) => !present.has(event.event_id) && !inLine.has(event.event_id))
    .filter((event) => event.so <= line.before);
  return [...lazy, ...speakers];
}

/** No state has NUL in its name: a message and the state with an empty key differ. */
const slotOf = (event: StoredEvent) => `${event.type}\0${event.state_key ?? "\0"}`;

function latestOfEach(events: readonly StoredEvent[]): StoredEvent[] {
  return [...new Map(events.map((event) => [slotOf(event), event])).values()];
}

const clientEvents = (ctx: Context, session: Session, events: readonly StoredEvent[]) =>
  events.map((event) => toClient(ctx.db, event, session, ctx.clock.now(), false));

function timelineSection(ctx: Context, session: Session, line: Timeline): unknown {
  return {
    events: line.events.map((event) => withRelations(ctx, event, session, false)),
    limited: line.limited,
    prev_batch: formatToken(line.before),
  };
}

function roomAccountData(
  ctx: Context,
  session: Session,
  filter: EventFilter,
  roomId: string,
  from: number,
): { type: unknown; content: unknown }[] {
  return ctx.db.all(
    "SELECT type, content FROM account_data WHERE user_id = ? AND room_id = ? AND so > ? ORDER BY so",
    session.userId,
    roomId,
    from,
  ).filter((row) => matchesTypeAndSender(filter, String(row["type"])))
    .map((row) => ({ type: row["type"], content: JSON.parse(String(row["content"])) }));
}

function ephemeralEvents(
  ctx: Context,
  session: Session,
  filter: EventFilter,
  roomId: string,
  from: number,
): unknown[] {
  const events: { type: string; content: unknown }[] = [];
  const receipts: Record<string, Record<string, Record<string, unknown>>> = {};
  for (
    const row of ctx.db.all(
      "SELECT * FROM receipts WHERE room_id = ? AND so > ? AND (type = 'm.read' OR user_id = ?)",
      roomId,
      from,
      session.userId,
    )
  ) {
    const of = receipts[String(row["event_id"])] ??= {};
    (of[String(row["type"])] ??= {})[String(row["user_id"])] = {
      ts: row["ts"],
      ...(row["thread"] === "" ? {} : { thread_id: row["thread"] }),
    };
  }
  if (Object.keys(receipts).length > 0) events.push({ type: "m.receipt", content: receipts });
  const typing = ctx.ephemeral.typingIn(roomId);
  if (typing !== undefined && typing.position > from && (from > 0 || typing.users.length > 0)) {
    events.push({ type: "m.typing", content: { user_ids: typing.users } });
  }
  return events.filter((event) => matchesTypeAndSender(filter, event.type));
}

/** Counted up to this many: clients show "99+". */
const MAX_UNREAD = 100;

function unread(ctx: Context, session: Session, roomId: string): unknown {
  const read = ctx.db.get(
    "SELECT max(event_so) AS so FROM receipts WHERE room_id = ? AND user_id = ? AND type IN ('m.read', 'm.read.private')",
    roomId,
    session.userId,
  )?.["so"];
  const joined = ctx.db.get(
    "SELECT so FROM members WHERE user_id = ? AND room_id = ?",
    session.userId,
    roomId,
  )?.["so"];
  const rows = ctx.db.all(
    "SELECT json_extract(content, '$.\"m.mentions\".user_ids') AS mentions FROM events WHERE room_id = ? AND so > ? AND state_key IS NULL AND type IN ('m.room.message', 'm.room.encrypted') AND sender <> ? AND redacted_by IS NULL LIMIT ?",
    roomId,
    Math.max(Number(read ?? 0), Number(joined ?? 0)),
    session.userId,
    MAX_UNREAD,
  );
  return {
    notification_count: rows.length,
    highlight_count:
      rows.filter((row) =>
        typeof row["mentions"] === "string" && row["mentions"].includes(`"${session.userId}"`)
      ).length,
  };
}

function summary(ctx: Context, session: Session, roomId: string): unknown {
  const counts: Record<string, number> = {};
  for (
    const row of ctx.db.all(
      "SELECT membership, count(*) AS n FROM members WHERE room_id = ? GROUP BY membership",
      roomId,
    )
  ) counts[String(row["membership"])] = Number(row["n"]);
  const heroes = ctx.db.all(
    "SELECT user_id FROM members WHERE room_id = ? AND membership IN ('join', 'invite') AND user_id <> ? ORDER BY so LIMIT 5",
    roomId,
    session.userId,
  ).map((row) => row["user_id"]);
  return {
    "m.heroes": heroes,
    "m.joined_member_count": counts["join"] ?? 0,
    "m.invited_member_count": counts["invite"] ?? 0,
  };
}
