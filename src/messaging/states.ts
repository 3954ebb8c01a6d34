// SPDX-License-Identifier: Apache-2.0
import type { Content, MatrixEvent } from "./types.ts";

/** One piece of room state. The sender stays with it: content without its sender decides nothing. */
export interface StateEntry {
  readonly content: Content;
  readonly sender: string;
}

/** Room state by room, type and key, fed by `runSync`. */
export class RoomStates {
  readonly #rooms = new Map<string, Map<string, Map<string, StateEntry>>>();

  /** Takes over one state event. @returns false for a timeline event, which is not state */
  apply(room: string, event: MatrixEvent): boolean {
    if (event.state_key === undefined) return false;
    this.add(room);
    const types = this.#rooms.get(room)!;
    let keys = types.get(event.type);
    if (keys === undefined) types.set(event.type, keys = new Map());
    keys.set(event.state_key, { content: event.content, sender: event.sender });
    return true;
  }

  /** Makes a room known that has no state of interest yet. */
  add(room: string): void {
    if (!this.#rooms.has(room)) this.#rooms.set(room, new Map());
  }

  has(room: string): boolean {
    return this.#rooms.has(room);
  }

  get(room: string, type: string, key = ""): StateEntry | undefined {
    return this.#rooms.get(room)?.get(type)?.get(key);
  }

  /** All keys of one type in a room. */
  all(room: string, type: string): ReadonlyMap<string, StateEntry> {
    return this.#rooms.get(room)?.get(type) ?? new Map();
  }

  rooms(): IterableIterator<string> {
    return this.#rooms.keys();
  }

  drop(room: string): void {
    this.#rooms.delete(room);
  }

  clear(): void {
    this.#rooms.clear();
  }

  get size(): number {
    return this.#rooms.size;
  }
}

/**
 * The power level of a user by a room's current `m.room.power_levels`; without one, 0 for everybody:
 * the creator's implicit 100 is not taken on trust here.
 */
export function powerLevel(states: RoomStates, room: string, user: string): number {
  const levels = states.get(room, "m.room.power_levels")?.content;
  const users = levels?.["users"];
  if (typeof users === "object" && users !== null && Object.hasOwn(users, user)) {
    const level = (users as Record<string, unknown>)[user];
    return typeof level === "number" ? level : 0;
  }
  const fallback = levels?.["users_default"];
  return typeof fallback === "number" ? fallback : 0;
}
