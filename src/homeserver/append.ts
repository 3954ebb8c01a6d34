// SPDX-License-Identifier: Apache-2.0

/** The one way an event enters a room. Runs inside `db.write`. */
import { canonicalJson } from "../lib/canonical/mod.ts";
import { messageOf } from "../lib/errors.ts";
import { authorize, type Draft, levelsOf, type RoomState } from "./auth_rules.ts";
import { type Context, randomText } from "./context.ts";
import { badJson, forbidden, invalidParam, MatrixError, tooLarge } from "./errors.ts";
import { type Content, type PowerLevels, powerLevels } from "./power_levels.ts";
import { redactContent } from "./redaction.ts";
import type { Database } from "./store/database.ts";
import { contentOf, currentState, eventById, type StoredEvent } from "./store/events.ts";
import { isJoined, roomRow, usersIn } from "./store/members.ts";

/** Of the whole event as canonical JSON, in bytes. */
export const MAX_EVENT_BYTES = 65_536;
/** Of type, state key, sender, room id, in bytes. */
export const MAX_KEY_BYTES = 255;

export interface NewEvent extends Draft {
  readonly roomId: string;
  readonly redacts?: string;
  readonly deviceId?: string;
  readonly txnId?: string;
}

/**
 * Checks size and authorisation, stores the event, updates state and membership, and wakes who waits
 * once it is on disk. An identical state event is not stored again.
 *
 * @returns the event, or the one already in force
 * @throws {MatrixError} M_FORBIDDEN, M_BAD_JSON, M_TOO_LARGE, M_NOT_FOUND
 */
export function append(ctx: Context, draft: NewEvent): StoredEvent {
  const { db } = ctx;
  const { roomId, type } = draft;
  const room = roomRow(db, roomId);
  const content = authorize(draft, roomState(db, roomId));
  const text = encodeContent(content);
  checkSize(draft, text);
  const before = draft.state_key === undefined
    ? undefined
    : currentState(db, roomId, type, draft.state_key);
  if (before !== undefined && before.content === text && before.sender === draft.sender) {
    return before;
  }
  const so = db.next();
  const relation = relationOf(content);
  const event: StoredEvent = {
    so,
    event_id: `$${randomText(43)}`,
    room_id: roomId,
    type,
    state_key: draft.state_key ?? null,
    sender: draft.sender,
    ts: ctx.clock.now(),
    content: text,
    replaces: before?.so ?? null,
    redacts: draft.redacts ?? null,
    redacted_by: null,
    rel_type: relation?.type ?? null,
    rel_to: relation?.to ?? null,
    device_id: draft.deviceId ?? null,
    txn_id: draft.txnId ?? null,
  };
  insert(db, event);
  db.run("UPDATE rooms SET last_so = ? WHERE room_id = ?", so, roomId);
  if (draft.state_key !== undefined) {
    db.run(
      "INSERT INTO state VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET so = excluded.so",
      roomId,
      type,
      draft.state_key,
      so,
    );
  }
  if (type === "m.room.member" && draft.state_key !== undefined) {
    updateMember(ctx, event, draft.state_key, String(content["membership"]));
  }
  if (draft.redacts !== undefined) applyRedaction(db, draft.redacts, event, room.version);
  db.afterCommit(() => ctx.notifier.wakeRoom(roomId));
  return event;
}

/** The canonical text of a content. @throws {MatrixError} M_BAD_JSON for floats, big integers, deep nesting */
export function encodeContent(content: Content): string {
  try {
    return canonicalJson(content);
  } catch (thrown) {
    throw badJson(messageOf(thrown));
  }
}

function insert(db: Database, event: StoredEvent): void {
  db.run(
    "INSERT INTO events VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    event.so,
    event.event_id,
    event.room_id,
    event.type,
    event.state_key,
    event.sender,
    event.ts,
    event.content,
    event.replaces,
    event.redacts,
    event.redacted_by,
    event.rel_type,
    event.rel_to,
    event.device_id,
    event.txn_id,
  );
}

function updateMember(ctx: Context, event: StoredEvent, userId: string, value: string): void {
  ctx.db.run(
    "INSERT INTO members VALUES (?, ?, ?, ?, 0) ON CONFLICT DO UPDATE SET membership = excluded.membership, so = excluded.so, forgotten = 0",
    userId,
    event.room_id,
    value,
    event.so,
  );
  ctx.db.afterCommit(() => {
    // The user who was put out is no member any more, and must hear of it too.
    ctx.notifier.forgetMembers(event.room_id);
    ctx.notifier.wakeUser(userId);
  });
}

/**
 * Whether `sender` may redact the event: their own, or with the room's redact level.
 *
 * @throws {MatrixError} M_NOT_FOUND, M_FORBIDDEN
 */
export function checkRedaction(db: Database, roomId: string, target: string, sender: string): void {
  const event = eventById(db, target);
  if (event === undefined || event.room_id !== roomId) {
    throw new MatrixError(404, "M_NOT_FOUND", `Cannot redact "${target}": it is not in this room`);
  }
  const levels = levelsOf(roomState(db, roomId));
  if (event.sender !== sender && levels.user(sender) < levels.scalar("redact")) {
    throw forbidden(`Cannot redact "${target}": it needs power level ${levels.scalar("redact")}`);
  }
}

function applyRedaction(
  db: Database,
  target: string,
  redaction: StoredEvent,
  version: string,
): void {
  const event = eventById(db, target);
  if (event === undefined || event.redacted_by !== null) return;
  const kept = encodeContent(redactContent(event.type, contentOf(event), version));
  db.run(
    "UPDATE events SET content = ?, redacted_by = ?, rel_type = NULL, rel_to = NULL WHERE so = ?",
    kept,
    redaction.so,
    event.so,
  );
}

const encoder = new TextEncoder();

function checkSize(draft: NewEvent, content: string): void {
  const fields = [draft.type, draft.state_key ?? "", draft.sender, draft.roomId];
  for (const field of fields) {
    if (!field.isWellFormed()) throw invalidParam("Cannot send the event: a name is not Unicode");
    if (encoder.encode(field).length > MAX_KEY_BYTES) {
      throw tooLarge(`Cannot send "${draft.type.slice(0, 64)}": a name is longer than 255 bytes`);
    }
  }
  // What the envelope adds in canonical form: its names, event id, time, and a depth.
  const bytes = encoder.encode(content).length + encoder.encode(fields.join("")).length + 160;
  if (bytes > MAX_EVENT_BYTES) {
    throw tooLarge(
      `Cannot send "${draft.type}": it has ${bytes} bytes, ${MAX_EVENT_BYTES} at most`,
    );
  }
}

/** What an event points at; `type` null for a plain reply. */
export function relationOf(content: Content): { type: string | null; to: string } | undefined {
  const relation = content["m.relates_to"];
  if (typeof relation !== "object" || relation === null || Array.isArray(relation)) {
    return undefined;
  }
  const { rel_type: type, event_id: to } = relation as Record<string, unknown>;
  if (typeof to !== "string") return undefined;
  return { type: typeof type === "string" ? type : null, to };
}

/** The room's current state for the auth rules. */
export function roomState(db: Database, roomId: string): RoomState {
  return {
    get(type, stateKey) {
      const event = currentState(db, roomId, type, stateKey);
      return event && { sender: event.sender, content: contentOf(event) };
    },
    isJoinedTo: (other, userId) => isJoined(db, other, userId),
    findInviter: (levels) =>
      usersIn(db, roomId, "join").find((user) => levels.user(user) >= levels.scalar("invite")),
  };
}

export function roomLevels(db: Database, roomId: string): PowerLevels {
  const content = currentState(db, roomId, "m.room.power_levels", "");
  const creator = currentState(db, roomId, "m.room.create", "")?.sender ?? "";
  return powerLevels(content && contentOf(content), creator);
}
