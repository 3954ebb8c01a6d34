// SPDX-License-Identifier: Apache-2.0

/** Room state as the sync brings it: raw for whoever asks, typed where `lib/schema` knows the type. */
import { type ContentOf, type KnownEventType, parseEvent, SchemaError } from "../lib/schema/mod.ts";
import type { Content, MatrixEvent } from "./types.ts";

/** One piece of room state. The sender stays with it: content without its sender decides nothing. */
export interface StateEntry {
  readonly content: Content;
  readonly sender: string;
  /** Absent in events that a homeserver stripped. */
  readonly eventId: string | undefined;
}

/** One piece of state through its schema: what it says, or why that can't be read. */
export type TypedState<T> =
  | {
    readonly ok: true;
    readonly sender: string;
    /** Null: the state was cleared. */
    readonly value: T | null;
  }
  | { readonly ok: false; readonly sender: string; readonly error: SchemaError };

/** State that doesn't have the shape of its type. All but `error` is a stranger's text. */
export interface Malformed {
  readonly room: string;
  readonly type: string;
  readonly key: string;
  readonly sender: string;
  readonly eventId: string | undefined;
  readonly error: SchemaError;
}

export interface RoomStatesOptions {
  /** Called once for each malformed event, when it is first read. */
  readonly onMalformed?: (malformed: Malformed) => void;
}

/** Malformed events that are remembered as told of. */
const MAX_TOLD = 1_000;
/** Names that are kept once however often they come: types, senders, rooms. */
const MAX_INTERNED = 20_000;

/** Parsed when it is first asked for, then kept with the event. */
class Entry implements StateEntry {
  typed: TypedState<unknown> | undefined = undefined;
  constructor(
    readonly content: Content,
    readonly sender: string,
    readonly eventId: string | undefined,
  ) {}
}

const NONE: ReadonlyMap<string, StateEntry> = new Map();

/** Room state by room, type and key, fed by `runSync`. Holds the parsed events themselves, no copies. */
export class RoomStates {
  readonly #rooms = new Map<string, Map<string, Map<string, Entry>>>();
  readonly #names = new Map<string, string>();
  readonly #told = new Set<string>();
  readonly #onMalformed: (malformed: Malformed) => void;

  constructor({ onMalformed = () => {} }: RoomStatesOptions = {}) {
    this.#onMalformed = onMalformed;
  }

  /** Takes over one state event. @returns false for a timeline event, which is not state */
  apply(room: string, event: MatrixEvent): boolean {
    if (event.state_key === undefined) return false;
    const types = this.#room(room);
    let keys = types.get(event.type);
    if (keys === undefined) types.set(this.#intern(event.type), keys = new Map());
    const present = keys.get(event.state_key);
    // The same event again: what was parsed stays.
    if (present?.eventId !== undefined && present.eventId === event.event_id) return true;
    keys.set(
      event.state_key,
      new Entry(event.content, this.#intern(event.sender), event.event_id),
    );
    return true;
  }

  /** Makes a room known that has no state of interest yet. */
  add(room: string): void {
    this.#room(room);
  }

  has(room: string): boolean {
    return this.#rooms.has(room);
  }

  get(room: string, type: string, key = ""): StateEntry | undefined {
    return this.#rooms.get(room)?.get(type)?.get(key);
  }

  /** All keys of one type in a room. */
  all(room: string, type: string): ReadonlyMap<string, StateEntry> {
    return this.#rooms.get(room)?.get(type) ?? NONE;
  }

  /**
   * State through its schema, parsed once. Never throws for what an event says. Whoever acts on it
   * asks `maySpeakFor` about the sender first.
   * @returns undefined when there is no such state
   */
  read<T extends KnownEventType>(
    room: string,
    type: T,
    key = "",
  ): TypedState<ContentOf<T>> | undefined {
    const entry = this.#rooms.get(room)?.get(type)?.get(key);
    if (entry === undefined) return undefined;
    entry.typed ??= this.#parse(room, type, key, entry);
    return entry.typed as TypedState<ContentOf<T>>;
  }

  /** All of one type that can be read and is not cleared; the malformed are told of and left out. */
  *readAll<T extends KnownEventType>(
    room: string,
    type: T,
  ): Generator<{ key: string; sender: string; value: ContentOf<T> }> {
    for (const key of this.all(room, type).keys()) {
      const state = this.read(room, type, key);
      if (state?.ok && state.value !== null) {
        yield { key, sender: state.sender, value: state.value };
      }
    }
  }

  rooms(): IterableIterator<string> {
    return this.#rooms.keys();
  }

  drop(room: string): void {
    this.#rooms.delete(room);
  }

  clear(): void {
    this.#rooms.clear();
    this.#names.clear();
  }

  get size(): number {
    return this.#rooms.size;
  }

  #room(room: string): Map<string, Map<string, Entry>> {
    let types = this.#rooms.get(room);
    if (types === undefined) this.#rooms.set(this.#intern(room), types = new Map());
    return types;
  }

  #parse(room: string, type: KnownEventType, key: string, entry: Entry): TypedState<unknown> {
    const { sender, eventId } = entry;
    try {
      return { ok: true, sender, value: parseEvent(type, entry.content) };
    } catch (thrown) {
      if (!(thrown instanceof SchemaError)) throw thrown;
      this.#tell({ room, type, key, sender, eventId, error: thrown });
      return { ok: false, sender, error: thrown };
    }
  }

  #tell(malformed: Malformed): void {
    const { room, type, key, eventId } = malformed;
    const id = eventId ?? JSON.stringify([room, type, key]);
    if (this.#told.has(id)) return;
    if (this.#told.size >= MAX_TOLD) this.#told.delete(this.#told.values().next().value!);
    this.#told.add(id);
    this.#onMalformed(malformed);
  }

  /** Each event's JSON brings its own copy of names that thousands of events share. */
  #intern(name: string): string {
    const known = this.#names.get(name);
    if (known !== undefined) return known;
    if (this.#names.size < MAX_INTERNED) this.#names.set(name, name);
    return name;
  }
}

/**
 * The power level of a user by the content of `m.room.power_levels`; without one, 0 for everybody: the
 * creator's implicit 100 is not taken on trust here.
 */
export function levelOf(levels: Content | undefined, user: string): number {
  const users = levels?.["users"];
  if (typeof users === "object" && users !== null && Object.hasOwn(users, user)) {
    const level = (users as Record<string, unknown>)[user];
    return typeof level === "number" ? level : 0;
  }
  const fallback = levels?.["users_default"];
  return typeof fallback === "number" ? fallback : 0;
}

/** The power level of a user by a room's current `m.room.power_levels`; see `levelOf`. */
export function powerLevel(states: RoomStates, room: string, user: string): number {
  return levelOf(states.get(room, "m.room.power_levels")?.content, user);
}
