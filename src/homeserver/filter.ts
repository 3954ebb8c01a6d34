// SPDX-License-Identifier: Apache-2.0

/** Sync and event filters, parsed once into sets and patterns. Unknown members are ignored. */
import { badJson, invalidParam, notFound } from "./errors.ts";
import { type FieldPath, parseFields } from "./event_fields.ts";
import type { Body } from "./http.ts";
import type { Context } from "./context.ts";
import { isObject } from "./params.ts";
import type { StoredEvent } from "./store/events.ts";

export interface EventFilter {
  readonly types: readonly string[] | undefined;
  readonly notTypes: readonly string[];
  readonly senders: ReadonlySet<string> | undefined;
  readonly notSenders: ReadonlySet<string>;
  readonly containsUrl: boolean | undefined;
  readonly limit: number | undefined;
  readonly lazyLoadMembers: boolean;
  readonly rooms: ReadonlySet<string> | undefined;
  readonly notRooms: ReadonlySet<string>;
}

export interface SyncFilter {
  readonly presence: EventFilter;
  readonly accountData: EventFilter;
  readonly rooms: ReadonlySet<string> | undefined;
  readonly notRooms: ReadonlySet<string>;
  readonly includeLeave: boolean;
  /** Undefined: all. */
  readonly fields: readonly FieldPath[] | undefined;
  readonly timeline: EventFilter;
  readonly state: EventFilter;
  readonly ephemeral: EventFilter;
  readonly roomAccountData: EventFilter;
}

const strings = (value: unknown): string[] | undefined =>
  Array.isArray(value) ? value.filter((item) => typeof item === "string") : undefined;
const setOf = (value: unknown): ReadonlySet<string> | undefined => {
  const list = strings(value);
  return list && new Set(list);
};

const NONE: ReadonlySet<string> = new Set();

/** Shared, as most parts of most filters say nothing and each waiting poll holds its filter. */
const ANY: EventFilter = {
  types: undefined,
  notTypes: [],
  senders: undefined,
  notSenders: NONE,
  containsUrl: undefined,
  limit: undefined,
  lazyLoadMembers: false,
  rooms: undefined,
  notRooms: NONE,
};

function eventFilter(from: unknown): EventFilter {
  if (!isObject(from)) return ANY;
  const limit = from["limit"];
  return {
    types: strings(from["types"]),
    notTypes: strings(from["not_types"]) ?? [],
    senders: setOf(from["senders"]),
    notSenders: setOf(from["not_senders"]) ?? NONE,
    containsUrl: typeof from["contains_url"] === "boolean" ? from["contains_url"] : undefined,
    limit: typeof limit === "number" && limit >= 0 ? Math.min(Math.floor(limit), 1000) : undefined,
    lazyLoadMembers: from["lazy_load_members"] === true,
    rooms: setOf(from["rooms"]),
    notRooms: setOf(from["not_rooms"]) ?? NONE,
  };
}

export function parseSyncFilter(value: unknown): SyncFilter {
  const from: Body = isObject(value) ? value : {};
  const room: Body = isObject(from["room"]) ? from["room"] : {};
  return {
    presence: eventFilter(from["presence"]),
    accountData: eventFilter(from["account_data"]),
    rooms: setOf(room["rooms"]),
    notRooms: setOf(room["not_rooms"]) ?? NONE,
    includeLeave: room["include_leave"] === true,
    fields: parseFields(from["event_fields"]),
    timeline: eventFilter(room["timeline"]),
    state: eventFilter(room["state"]),
    ephemeral: eventFilter(room["ephemeral"]),
    roomAccountData: eventFilter(room["account_data"]),
  };
}

/** The `filter` of `/messages`: JSON text. @throws {MatrixError} */
export function parseEventFilter(text: string | null): EventFilter {
  if (text === null || text === "") return eventFilter({});
  try {
    return eventFilter(JSON.parse(text));
  } catch {
    throw invalidParam('Cannot read "filter": it is not JSON');
  }
}

/** The `filter` of `/sync`: an id, or JSON that begins with a brace. @throws {MatrixError} */
export function loadSyncFilter(ctx: Context, userId: string, text: string | null): SyncFilter {
  if (text === null || text === "") return parseSyncFilter({});
  if (text.startsWith("{")) {
    try {
      return parseSyncFilter(JSON.parse(text));
    } catch {
      throw badJson('Cannot read "filter": it is not JSON');
    }
  }
  return parseSyncFilter(storedFilter(ctx, userId, text));
}

export function storedFilter(ctx: Context, userId: string, id: string): unknown {
  const row = /^\d{1,15}$/.test(id)
    ? ctx.db.get(
      "SELECT definition FROM filters WHERE user_id = ? AND filter_id = ?",
      userId,
      Number(id),
    )
    : undefined;
  if (row === undefined) throw notFound(`Cannot find filter "${id.slice(0, 32)}"`);
  return JSON.parse(String(row["definition"]));
}

/** `*` matches any text, as the specification has it; nothing else is special. */
function matchesType(pattern: string, type: string): boolean {
  if (!pattern.includes("*")) return pattern === type;
  const parts = pattern.split("*");
  const [first, last] = [parts[0]!, parts.at(-1)!];
  if (!type.startsWith(first) || !type.endsWith(last)) return false;
  if (type.length < first.length + last.length) return false;
  let at = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = type.indexOf(part, at);
    if (found < 0 || found + part.length > type.length - last.length) return false;
    at = found + part.length;
  }
  return true;
}

export function matchesTypeAndSender(filter: EventFilter, type: string, sender?: string): boolean {
  if (filter.notTypes.some((pattern) => matchesType(pattern, type))) return false;
  if (filter.types !== undefined && !filter.types.some((p) => matchesType(p, type))) return false;
  if (sender === undefined) return true;
  return !filter.notSenders.has(sender) && (filter.senders?.has(sender) ?? true);
}

export function matchesEvent(filter: EventFilter, event: StoredEvent): boolean {
  if (!matchesTypeAndSender(filter, event.type, event.sender)) return false;
  if (!allowsRoom(filter, event.room_id)) return false;
  if (filter.containsUrl === undefined) return true;
  return (typeof JSON.parse(event.content)["url"] === "string") === filter.containsUrl;
}

export const allowsRoom = (
  filter: {
    readonly rooms: ReadonlySet<string> | undefined;
    readonly notRooms: ReadonlySet<string>;
  },
  roomId: string,
): boolean => !filter.notRooms.has(roomId) && (filter.rooms?.has(roomId) ?? true);
