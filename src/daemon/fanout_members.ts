// SPDX-License-Identifier: Apache-2.0

/**
 * Who is in a room, and since which place in the stream: asked of the homeserver when somebody follows
 * the room, and kept by the sync's own news from then on. The sync alone does not do: it leaves out
 * members who said nothing.
 */
import { hasErrcode, type MatrixEvent } from "../messaging/mod.ts";

interface Room {
  /** User id → the place after which events are theirs to see; null: not known, to be asked. */
  known: Map<string, number> | null;
  loading: Promise<void> | null;
  /** News since it was last asked; null: left. It is newer than an answer that is under way. */
  readonly news: Map<string, number | null>;
  /** Who was in it at the last gap. */
  before: ReadonlyMap<string, number> | null;
  gapAt: number;
}

export class Members {
  readonly #fetch: (room: string) => Promise<string[]>;
  readonly #rooms = new Map<string, Room>();

  /** @param fetch joined members by the homeserver's word */
  constructor(fetch: (room: string) => Promise<string[]>) {
    this.#fetch = fetch;
  }

  /** Members of a room as known now, without waiting; null: `load` it first. */
  joined(room: string): ReadonlyMap<string, number> | null {
    return this.#rooms.get(room)?.known ?? null;
  }

  /** @throws what the homeserver says; a room that this machine is not in has no members */
  async load(name: string): Promise<void> {
    const room = this.#room(name);
    while (room.known === null && this.#rooms.get(name) === room) {
      room.loading ??= this.#ask(name, room).finally(() => room.loading = null);
      await room.loading;
    }
  }

  /**
   * A member as the sync shows the room's state, not as news: with lazy loading everybody who speaks comes
   * along with their join, however long ago that was.
   */
  applyState(name: string, event: MatrixEvent, seq: number): void {
    const user = event.state_key;
    if (user === undefined || event.content["membership"] !== "join") {
      return this.apply(name, event, seq);
    }
    const room = this.#room(name);
    // Where nobody has been asked yet, whoever is asked will name them too.
    if (room.known?.has(user) === false) room.known.set(user, seq);
  }

  /** @param seq place of the event in the stream */
  apply(name: string, event: MatrixEvent, seq: number): void {
    const user = event.state_key;
    if (user === undefined) return;
    const room = this.#room(name);
    const isIn = event.content["membership"] === "join";
    if (isIn && wasIn(event)) return;
    if (room.known === null) room.news.set(user, isIn ? seq : null);
    else if (isIn) room.known.set(user, seq);
    else room.known.delete(user);
  }

  /** Something was missed: who is in the room has to be asked anew. */
  gap(name: string, seq: number): void {
    const room = this.#rooms.get(name);
    this.#rooms.set(name, {
      known: null,
      loading: null,
      news: new Map(),
      before: room?.known ?? room?.before ?? null,
      gapAt: seq,
    });
  }

  /** This machine is not in the room any more, and hears nothing of it. */
  drop(name: string): void {
    this.#rooms.delete(name);
  }

  clear(): void {
    this.#rooms.clear();
  }

  #room(name: string): Room {
    let room = this.#rooms.get(name);
    if (room === undefined) {
      room = { known: null, loading: null, news: new Map(), before: null, gapAt: 0 };
      this.#rooms.set(name, room);
    }
    return room;
  }

  async #ask(name: string, room: Room): Promise<void> {
    const earlier = new Map(room.news);
    room.news.clear();
    let users: string[];
    try {
      users = await this.#fetch(name);
    } catch (thrown) {
      if (!hasErrcode(thrown, "M_FORBIDDEN") && !hasErrcode(thrown, "M_NOT_FOUND")) {
        // The next attempt needs it too; later news wins.
        for (const [user, at] of earlier) if (!room.news.has(user)) room.news.set(user, at);
        throw thrown;
      }
      users = [];
    }
    const known = new Map<string, number>();
    for (const user of users) {
      const at = earlier.get(user);
      // Left by the stream, back by the answer: the stream has still to come to where that was.
      if (at === null) known.set(user, Number.MAX_SAFE_INTEGER);
      else known.set(user, at ?? room.before?.get(user) ?? room.gapAt);
    }
    for (const [user, at] of room.news) {
      if (at === null) known.delete(user);
      else known.set(user, at);
    }
    room.known = known;
    room.news.clear();
  }
}

/** A new name or picture of somebody who was in the room already. */
function wasIn(event: MatrixEvent): boolean {
  const { unsigned } = event as { unsigned?: { prev_content?: { membership?: unknown } } };
  return unsigned?.prev_content?.membership === "join";
}
