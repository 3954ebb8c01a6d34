// SPDX-License-Identifier: Apache-2.0

/** Bundled aggregations: the newest edit, the thread's summary, references; and which relations are refused. */
import { relationOf } from "./append.ts";
import type { Context } from "./context.ts";
import { invalidParam, MatrixError } from "./errors.ts";
import type { Database } from "./store/database.ts";
import {
  asEvent,
  asEvents,
  type ClientEvent,
  type StoredEvent,
  toClient,
  type Viewer,
} from "./store/events.ts";

/** @param withRoom as in `toClient` */
export function withRelations(
  ctx: Context,
  event: StoredEvent,
  viewer: Viewer,
  withRoom = true,
): ClientEvent {
  const client = toClient(ctx.db, event, viewer, ctx.clock.now(), withRoom);
  // State events have no aggregations, and most events no relations: one index look-up says so.
  if (event.state_key !== null || event.redacted_by !== null) return client;
  const relations: Record<string, unknown> = {};
  for (
    const row of ctx.db.all(
      "SELECT rel_type, count(*) AS n, max(so) AS last FROM events WHERE rel_to = ? AND rel_type IS NOT NULL GROUP BY rel_type",
      event.event_id,
    )
  ) {
    switch (row["rel_type"]) {
      case "m.replace": {
        const edit = newestEdit(ctx, event);
        if (edit !== undefined) {
          relations["m.replace"] = toClient(ctx.db, edit, viewer, ctx.clock.now());
        }
        break;
      }
      case "m.thread":
        relations["m.thread"] = thread(ctx, event, viewer, Number(row["n"]), Number(row["last"]));
        break;
      case "m.reference":
        relations["m.reference"] = {
          chunk: ctx.db.all(
            "SELECT event_id FROM events WHERE rel_to = ? AND rel_type = 'm.reference' ORDER BY so LIMIT 100",
            event.event_id,
          ),
        };
    }
  }
  if (Object.keys(relations).length > 0) {
    client.unsigned = { ...client.unsigned, "m.relations": relations };
  }
  return client;
}

/** An edit counts only from the event's own sender and of its own type: nobody edits another's words. */
function newestEdit(ctx: Context, event: StoredEvent): StoredEvent | undefined {
  const row = ctx.db.get(
    "SELECT * FROM events WHERE rel_to = ? AND rel_type = 'm.replace' AND sender = ? AND type = ? AND room_id = ? ORDER BY so DESC LIMIT 1",
    event.event_id,
    event.sender,
    event.type,
    event.room_id,
  );
  return row && asEvent(row);
}

function thread(
  ctx: Context,
  root: StoredEvent,
  viewer: Viewer,
  count: number,
  last: number,
): unknown {
  const latest = asEvents(ctx.db.all("SELECT * FROM events WHERE so = ?", last))[0]!;
  const took = ctx.db.get(
    "SELECT 1 AS yes FROM events WHERE rel_to = ? AND rel_type = 'm.thread' AND sender = ? LIMIT 1",
    root.event_id,
    viewer.userId,
  );
  return {
    latest_event: toClient(ctx.db, latest, viewer, ctx.clock.now()),
    count,
    current_user_participated: root.sender === viewer.userId || took !== undefined,
  };
}

/**
 * Refuses a reaction that its sender has given already, and a thread that begins inside another.
 * @throws {MatrixError} M_DUPLICATE_ANNOTATION, M_INVALID_PARAM
 */
export function checkRelation(
  db: Database,
  roomId: string,
  sender: string,
  type: string,
  content: Readonly<Record<string, unknown>>,
): void {
  const relation = relationOf(content);
  if (relation?.type === "m.thread") {
    const root = db.get("SELECT rel_type FROM events WHERE event_id = ?", relation.to);
    if (root?.["rel_type"] === "m.thread") {
      throw invalidParam("Cannot begin a thread there: the event is itself part of a thread");
    }
  }
  if (relation?.type === "m.annotation") {
    const { key } = content["m.relates_to"] as Record<string, unknown>;
    const given = db.get(
      "SELECT 1 AS yes FROM events WHERE rel_to = ? AND rel_type = 'm.annotation' AND room_id = ? AND sender = ? AND type = ? AND redacted_by IS NULL AND content ->> '$.\"m.relates_to\".key' = ? LIMIT 1",
      relation.to,
      roomId,
      sender,
      type,
      typeof key === "string" ? key : null,
    );
    if (given !== undefined) {
      throw new MatrixError(
        400,
        "M_DUPLICATE_ANNOTATION",
        "Cannot react twice: the same reaction was given already",
      );
    }
  }
}
