// SPDX-License-Identifier: Apache-2.0

/** Events as rows, and as what a client sees. */
import type { Content } from "../power_levels.ts";
import type { Database, Row } from "./database.ts";

export interface StoredEvent {
  /** Stream position: the order of everything on this server. */
  readonly so: number;
  readonly event_id: string;
  readonly room_id: string;
  readonly type: string;
  readonly state_key: string | null;
  readonly sender: string;
  readonly ts: number;
  /** Canonical JSON. */
  readonly content: string;
  /** Position of the state event before it with the same type and key. */
  readonly replaces: number | null;
  readonly redacts: string | null;
  /** Position of the redaction. */
  readonly redacted_by: number | null;
  readonly rel_type: string | null;
  readonly rel_to: string | null;
  readonly device_id: string | null;
  readonly txn_id: string | null;
}

export interface ClientEvent {
  type: string;
  content: Content;
  sender: string;
  event_id: string;
  room_id?: string;
  origin_server_ts: number;
  state_key?: string;
  redacts?: string;
  unsigned?: Record<string, unknown>;
}

export const asEvent = (row: Row): StoredEvent => row as unknown as StoredEvent;
export const asEvents = (rows: Row[]): StoredEvent[] => rows as unknown as StoredEvent[];

export function eventById(db: Database, eventId: string): StoredEvent | undefined {
  const row = db.get("SELECT * FROM events WHERE event_id = ?", eventId);
  return row && asEvent(row);
}

export function eventAt(db: Database, so: number): StoredEvent | undefined {
  const row = db.get("SELECT * FROM events WHERE so = ?", so);
  return row && asEvent(row);
}

export const contentOf = (event: StoredEvent): Content => JSON.parse(event.content);

/** Who looks: a transaction id is shown to the device that used it only. */
export interface Viewer {
  readonly userId: string;
  readonly deviceId: string;
}

/** @param withRoom sync leaves `room_id` out, everything else has it */
export function toClient(
  db: Database,
  event: StoredEvent,
  viewer: Viewer,
  now: number,
  withRoom = true,
): ClientEvent {
  const unsigned: Record<string, unknown> = { age: Math.max(0, now - event.ts) };
  if (
    event.txn_id !== null && event.sender === viewer.userId && event.device_id === viewer.deviceId
  ) unsigned["transaction_id"] = event.txn_id;
  if (event.replaces !== null) {
    const before = eventAt(db, event.replaces);
    if (before !== undefined) {
      unsigned["prev_content"] = contentOf(before);
      unsigned["prev_sender"] = before.sender;
      unsigned["replaces_state"] = before.event_id;
    }
  }
  if (event.redacted_by !== null) {
    const redaction = eventAt(db, event.redacted_by);
    if (redaction !== undefined) {
      unsigned["redacted_because"] = toClient(db, redaction, viewer, now);
      unsigned["redacted_by"] = redaction.event_id;
    }
  }
  return {
    type: event.type,
    content: contentOf(event),
    sender: event.sender,
    event_id: event.event_id,
    origin_server_ts: event.ts,
    ...(withRoom ? { room_id: event.room_id } : {}),
    ...(event.state_key === null ? {} : { state_key: event.state_key }),
    ...(event.redacts === null ? {} : { redacts: event.redacts }),
    unsigned,
  };
}

/** The room's current state event, or undefined. */
export function currentState(
  db: Database,
  roomId: string,
  type: string,
  stateKey: string,
): StoredEvent | undefined {
  const row = db.get(
    "SELECT e.* FROM state s JOIN events e ON e.so = s.so WHERE s.room_id = ? AND s.type = ? AND s.state_key = ?",
    roomId,
    type,
    stateKey,
  );
  return row && asEvent(row);
}

/** The state event in force at `so` (inclusive). */
export function stateEventAt(
  db: Database,
  roomId: string,
  type: string,
  stateKey: string,
  so: number,
): StoredEvent | undefined {
  const row = db.get(
    "SELECT * FROM events WHERE room_id = ? AND type = ? AND state_key = ? AND state_key IS NOT NULL AND so <= ? ORDER BY so DESC LIMIT 1",
    roomId,
    type,
    stateKey,
    so,
  );
  return row && asEvent(row);
}

/** The whole state at `so` (inclusive). Costs the state plus what changed since, not the history. */
export function stateAt(db: Database, roomId: string, so: number): StoredEvent[] {
  const events: StoredEvent[] = [];
  const rows = db.all(
    "SELECT e.* FROM state s JOIN events e ON e.so = s.so WHERE s.room_id = ? ORDER BY e.so",
    roomId,
  );
  for (let event of asEvents(rows) as (StoredEvent | undefined)[]) {
    while (event !== undefined && event.so > so) {
      event = event.replaces === null ? undefined : eventAt(db, event.replaces);
    }
    if (event !== undefined) events.push(event);
  }
  return events;
}

/** State that changed in (after, upTo]: the latest event per (type, state_key). */
export function stateDelta(
  db: Database,
  roomId: string,
  after: number,
  upTo: number,
): StoredEvent[] {
  const latest = new Map<string, StoredEvent>();
  const rows = db.all(
    "SELECT * FROM events WHERE room_id = ? AND so > ? AND so <= ? AND state_key IS NOT NULL ORDER BY so",
    roomId,
    after,
    upTo,
  );
  for (const event of asEvents(rows)) latest.set(`${event.type}\0${event.state_key}`, event);
  return [...latest.values()];
}

/** Events in (after, upTo], newest first or oldest first. */
export function eventRange(
  db: Database,
  roomId: string,
  after: number,
  upTo: number,
  order: "ASC" | "DESC",
  limit: number,
): StoredEvent[] {
  return asEvents(db.all(
    `SELECT * FROM events WHERE room_id = ? AND so > ? AND so <= ? ORDER BY so ${order} LIMIT ?`,
    roomId,
    after,
    upTo,
    limit,
  ));
}
