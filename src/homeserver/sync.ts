// SPDX-License-Identifier: Apache-2.0

/**
 * What one client has not seen yet. An incremental answer looks only at rooms that changed after the
 * client's position, so a wake costs what changed, whatever the number of rooms.
 */
import type { Context, Session } from "./context.ts";
import { type FieldPath, keepFields } from "./event_fields.ts";
import { unknownToken } from "./errors.ts";
import { allowsRoom, matchesTypeAndSender, type SyncFilter } from "./filter.ts";
import { profileChanges } from "./presence.ts";
import { asEvents, stateAt, type StoredEvent, toClient } from "./store/events.ts";
import { joinedRoom, leftRoom } from "./sync_room.ts";
import { formatSince, parseSince } from "./tokens.ts";

export interface SyncRequest {
  /** Undefined: an initial sync. */
  readonly since: string | undefined;
  readonly filter: SyncFilter;
  readonly timeoutMs: number;
  readonly fullState: boolean;
  /** The client left. */
  readonly gone: AbortSignal;
}

interface Changed {
  readonly roomId: string;
  readonly membership: string;
  /** Position of the user's member event. */
  readonly so: number;
}

/** @returns the body of `/sync`, as soon as there is something to say or the time is over */
export async function sync(
  ctx: Context,
  session: Session,
  request: SyncRequest,
): Promise<Record<string, unknown>> {
  const deadline = ctx.clock.now() + request.timeoutMs;
  const given = request.since === undefined ? undefined : parseSince(request.since);
  // A position from another database, or from the future of a restored one, says nothing here.
  const known = given !== undefined && given.position <= ctx.db.position &&
    (given.epoch === undefined || given.epoch === ctx.db.epoch);
  const since = known ? given.position : 0;
  if (known) await acknowledgeToDevice(ctx, session, since);
  const { syncs } = ctx.counters;
  while (true) {
    const answer = build(ctx, session, request, since);
    const left = deadline - ctx.clock.now();
    if (since === 0 || request.fullState || answer.hasNews) {
      syncs.answered++;
      return answer.body;
    }
    if (
      left <= 0 || request.gone.aborted || ctx.stopping.aborted ||
      !await ctx.notifier.wait(session.userId, left, request.gone)
    ) {
      syncs.empty++;
      return answer.body;
    }
    if (!tokenLives(ctx, session)) throw unknownToken();
  }
}

/** A device that was logged out while its poll waited learns it at once. */
const tokenLives = (ctx: Context, session: Session): boolean =>
  ctx.db.get("SELECT 1 AS yes FROM tokens WHERE hash = ?", session.tokenHash) !== undefined;

/** Messages up to `since` have arrived. */
async function acknowledgeToDevice(ctx: Context, session: Session, since: number): Promise<void> {
  const { userId, deviceId } = session;
  const where = "user_id = ? AND device_id = ? AND so <= ?";
  if (
    ctx.db.get(`SELECT 1 AS yes FROM to_device WHERE ${where} LIMIT 1`, userId, deviceId, since)
  ) {
    await ctx.db.write(() =>
      ctx.db.run(`DELETE FROM to_device WHERE ${where}`, userId, deviceId, since)
    );
  }
}

/** What `event_fields` are about, of a joined or left room. */
interface RoomPart {
  readonly timeline?: { events: unknown[] };
  readonly state?: { events: unknown[] };
}

function reduceEvents({ timeline, state }: RoomPart, fields: readonly FieldPath[]): void {
  for (const list of [timeline, state]) {
    if (list !== undefined) list.events = list.events.map((event) => keepFields(event, fields));
  }
}

function build(
  ctx: Context,
  session: Session,
  request: SyncRequest,
  since: number,
): { body: Record<string, unknown>; hasNews: boolean } {
  const upTo = ctx.db.position;
  const { filter } = request;
  const sections: Record<"join" | "invite" | "knock" | "leave", Record<string, unknown>> = {
    join: {},
    invite: {},
    knock: {},
    leave: {},
  };
  for (const room of changedRooms(ctx, session.userId, since, request.fullState)) {
    if (!allowsRoom(filter, room.roomId)) continue;
    if (room.membership === "join") {
      const part = joinedRoom(ctx, session, request, room.roomId, since, upTo);
      if (part !== undefined) sections.join[room.roomId] = part;
    } else if (room.membership === "invite" || room.membership === "knock") {
      if (room.so > since) {
        sections[room.membership][room.roomId] = {
          [`${room.membership}_state`]: { events: stripped(ctx, session, room) },
        };
      }
    } else if (since === 0 ? filter.includeLeave && room.membership === "leave" : room.so > since) {
      const part = leftRoom(ctx, session, request, room.roomId, since, room.so);
      if (part !== undefined) sections.leave[room.roomId] = part;
    }
  }
  const accountData = ctx.db.all(
    "SELECT type, content FROM account_data WHERE user_id = ? AND room_id = '' AND so > ? ORDER BY so",
    session.userId,
    since,
  ).filter((row) => matchesTypeAndSender(filter.accountData, String(row["type"])))
    .map((row) => ({ type: row["type"], content: JSON.parse(String(row["content"])) }));
  const toDevice = ctx.db.all(
    "SELECT so, type, sender, content FROM to_device WHERE user_id = ? AND device_id = ? AND so > ? ORDER BY so",
    session.userId,
    session.deviceId,
    since,
  );
  const presence = profileChanges(ctx, session.userId, since)
    .filter((event) => matchesTypeAndSender(filter.presence, "m.presence", event.sender));
  const { fields } = filter;
  if (fields !== undefined) {
    for (const part of [...Object.values(sections.join), ...Object.values(sections.leave)]) {
      reduceEvents(part as RoomPart, fields);
    }
  }
  const rooms = Object.fromEntries(
    Object.entries(sections).filter(([, part]) => Object.keys(part).length > 0),
  );
  const body = {
    next_batch: formatSince(upTo, ctx.db.epoch),
    ...(Object.keys(rooms).length > 0 ? { rooms } : {}),
    ...(accountData.length > 0 ? { account_data: { events: accountData } } : {}),
    ...(presence.length > 0 ? { presence: { events: presence } } : {}),
    ...(toDevice.length > 0
      ? {
        to_device: {
          events: toDevice.map((row) => ({
            type: row["type"],
            sender: row["sender"],
            content: JSON.parse(String(row["content"])),
          })),
        },
      }
      : {}),
    device_one_time_keys_count: { signed_curve25519: 0 },
    device_unused_fallback_key_types: [],
  };
  const hasNews = Object.keys(rooms).length > 0 || accountData.length > 0 ||
    presence.length > 0 || toDevice.length > 0;
  return { body, hasNews };
}

/** The user's rooms with anything after `since`; for an initial sync all that are not forgotten. */
function changedRooms(
  ctx: Context,
  userId: string,
  since: number,
  everything: boolean,
): Changed[] {
  const rows = since === 0 || everything
    ? ctx.db.all(
      "SELECT room_id, membership, so FROM members WHERE user_id = ? AND forgotten = 0",
      userId,
    )
    : ctx.db.all(
      "SELECT m.room_id, m.membership, m.so FROM rooms r JOIN members m ON m.user_id = ? AND m.room_id = r.room_id WHERE r.last_so > ? AND m.forgotten = 0",
      userId,
      since,
    );
  return rows.map((row) => ({
    roomId: String(row["room_id"]),
    membership: String(row["membership"]),
    so: Number(row["so"]),
  }));
}

const STRIPPED = [
  "m.room.create",
  "m.room.name",
  "m.room.avatar",
  "m.room.topic",
  "m.room.join_rules",
  "m.room.canonical_alias",
  "m.room.encryption",
];

/** What an invited user sees of the room: its face, the invitation, and who sent it. */
function stripped(ctx: Context, session: Session, room: Changed): unknown[] {
  const member = asEvents(ctx.db.all("SELECT * FROM events WHERE so = ?", room.so))[0]!;
  const shown = (event: StoredEvent) =>
    STRIPPED.includes(event.type) ||
    event.type === "m.room.member" &&
      (event.state_key === session.userId || event.state_key === member.sender);
  return stateAt(ctx.db, room.roomId, room.so).filter(shown).map((event) => {
    const client = toClient(ctx.db, event, session, ctx.clock.now(), false);
    return {
      type: client.type,
      state_key: client.state_key,
      sender: client.sender,
      content: client.content,
      ...(event.so === room.so
        ? { event_id: client.event_id, origin_server_ts: client.origin_server_ts }
        : {}),
    };
  });
}
