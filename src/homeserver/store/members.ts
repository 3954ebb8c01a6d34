// SPDX-License-Identifier: Apache-2.0

/** Who is in which room, now and at any position; and what a user may see of a room's history. */
import { forbidden, notFound } from "../errors.ts";
import type { Database } from "./database.ts";

export interface Membership {
  readonly membership: string;
  /** Position of the member event. */
  readonly so: number;
  readonly forgotten: boolean;
}

export function membership(db: Database, roomId: string, userId: string): Membership | undefined {
  const row = db.get(
    "SELECT membership, so, forgotten FROM members WHERE user_id = ? AND room_id = ?",
    userId,
    roomId,
  );
  return row && {
    membership: String(row["membership"]),
    so: Number(row["so"]),
    forgotten: row["forgotten"] === 1,
  };
}

export const isJoined = (db: Database, roomId: string, userId: string): boolean =>
  membership(db, roomId, userId)?.membership === "join";

export function roomsOf(db: Database, userId: string, kind: string): string[] {
  return db.all(
    "SELECT room_id FROM members WHERE user_id = ? AND membership = ?",
    userId,
    kind,
  ).map((row) => String(row["room_id"]));
}

export function usersIn(db: Database, roomId: string, kind: string): string[] {
  return db.all(
    "SELECT user_id FROM members WHERE room_id = ? AND membership = ?",
    roomId,
    kind,
  ).map((row) => String(row["user_id"]));
}

export function sharesRoom(db: Database, a: string, b: string): boolean {
  return a === b || db.get(
        "SELECT 1 AS yes FROM members x JOIN members y ON y.room_id = x.room_id AND y.user_id = ? AND y.membership = 'join' WHERE x.user_id = ? AND x.membership = 'join' LIMIT 1",
        b,
        a,
      ) !== undefined;
}

export interface RoomRow {
  readonly room_id: string;
  readonly version: string;
  readonly creator: string;
  readonly last_so: number;
  readonly published: number;
}

/** @throws {MatrixError} M_FORBIDDEN; a stranger can't tell it from a room that they may not see */
export function roomRow(db: Database, roomId: string): RoomRow {
  const row = db.get("SELECT * FROM rooms WHERE room_id = ?", roomId);
  if (row === undefined) throw forbidden(`Cannot use room "${roomId}": you are not in it`);
  return row as unknown as RoomRow;
}

/** For those who may know which rooms there are. @throws {MatrixError} M_NOT_FOUND */
export function existingRoom(db: Database, roomId: string): RoomRow {
  const row = db.get("SELECT * FROM rooms WHERE room_id = ?", roomId);
  if (row === undefined) throw notFound(`Cannot find room "${roomId}"`);
  return row as unknown as RoomRow;
}

/** @throws {MatrixError} M_FORBIDDEN unless the user is joined */
export function requireJoined(db: Database, roomId: string, userId: string): void {
  if (!isJoined(db, roomId, userId)) {
    throw forbidden(`Cannot use room "${roomId}": ${userId} is not in it`);
  }
}

/**
 * The position up to which a user may read the room's state and members: everything for who is in it
 * (or anybody, when it is world readable), the moment of leaving for who was.
 *
 * @throws {MatrixError} M_FORBIDDEN for a stranger
 */
export function readableUpTo(db: Database, roomId: string, userId: string): number {
  const own = membership(db, roomId, userId);
  if (own?.membership === "join") return Number.MAX_SAFE_INTEGER;
  const visibility = db.get(
    "SELECT json_extract(e.content, '$.history_visibility') AS value FROM state s JOIN events e ON e.so = s.so WHERE s.room_id = ? AND s.type = 'm.room.history_visibility' AND s.state_key = ''",
    roomId,
  )?.["value"];
  if (visibility === "world_readable") return Number.MAX_SAFE_INTEGER;
  if (own !== undefined && !own.forgotten && wasJoined(db, roomId, userId)) return own.so;
  throw forbidden(`Cannot read room "${roomId}": ${userId} is not in it`);
}

function wasJoined(db: Database, roomId: string, userId: string): boolean {
  return db.get(
    "SELECT 1 AS yes FROM events WHERE room_id = ? AND type = 'm.room.member' AND state_key = ? AND state_key IS NOT NULL AND json_extract(content, '$.membership') = 'join' LIMIT 1",
    roomId,
    userId,
  ) !== undefined;
}

/** Membership at `so`, from history. */
export function membershipAt(db: Database, roomId: string, userId: string, so: number): string {
  const row = db.get(
    "SELECT json_extract(content, '$.membership') AS value FROM events WHERE room_id = ? AND type = 'm.room.member' AND state_key = ? AND state_key IS NOT NULL AND so <= ? ORDER BY so DESC LIMIT 1",
    roomId,
    userId,
    so,
  );
  return String(row?.["value"] ?? "leave");
}

interface Change {
  readonly so: number;
  readonly value: string;
}

/**
 * Which positions of a room's history a user may see, by its history visibility at the time.
 * An event that changes membership or visibility is seen if either side of it allows.
 */
export function visibility(
  db: Database,
  roomId: string,
  userId: string,
): (so: number) => boolean {
  const changes = (type: string, key: string, field: string, initial: string): Change[] => [
    { so: 0, value: initial },
    ...db.all(
      "SELECT so, json_extract(content, ?) AS value FROM events WHERE room_id = ? AND type = ? AND state_key = ? AND state_key IS NOT NULL ORDER BY so",
      `$.${field}`,
      roomId,
      type,
      key,
    ).map((row) => ({ so: Number(row["so"]), value: String(row["value"] ?? initial) })),
  ];
  const members = changes("m.room.member", userId, "membership", "leave");
  const rules = changes("m.room.history_visibility", "", "history_visibility", "shared");
  const last = members.at(-1)!;
  const joins = members.filter((change) => change.value === "join");
  const allows = (rule: string, member: string, so: number): boolean => {
    if (rule === "world_readable" || member === "join") return true;
    if (rule === "shared") {
      // Joined at some time after it; who left sees up to the moment of leaving.
      return joins.length > 0 && (last.value === "join" || so <= last.so) &&
        so <= (last.value === "join" ? Infinity : last.so) && joins.at(-1)!.so >= so;
    }
    return rule === "invited" && member === "invite" && joins.some((join) => join.so >= so);
  };
  return (so) => {
    const [memberNow, memberBefore] = around(members, so);
    const [ruleNow, ruleBefore] = around(rules, so);
    return allows(ruleNow, memberNow, so) || allows(ruleBefore, memberBefore, so);
  };
}

/** The value after and before the event at `so`. */
function around(changes: readonly Change[], so: number): [string, string] {
  let index = changes.length - 1;
  while (changes[index]!.so > so) index--;
  const now = changes[index]!;
  return [now.value, now.so === so ? changes[index - 1]!.value : now.value];
}
