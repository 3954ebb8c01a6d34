// SPDX-License-Identifier: Apache-2.0

/**
 * What a client must know and may know, said twice: once by a client that only adds up sync answers,
 * once by an oracle that reads a room's whole history as somebody who never left it.
 */
import assert from "node:assert/strict";
import type { Reply, User } from "./_process.ts";

const id = encodeURIComponent;

export interface Event {
  readonly event_id: string;
  readonly type: string;
  readonly state_key?: string;
  readonly sender: string;
  readonly content: Record<string, unknown>;
}

export const slotOf = (event: Event): string => `${event.type} ${event.state_key}`;

/** All that happened in a room, in order. */
export class History {
  readonly events: readonly Event[];
  readonly #index: ReadonlyMap<string, number>;

  constructor(events: readonly Event[]) {
    this.events = events;
    this.#index = new Map(events.map((event, index) => [event.event_id, index]));
  }

  static async read(observer: User, room: string): Promise<History> {
    const events: Event[] = [];
    for (let from: string | undefined = "s0"; from !== undefined;) {
      const path = `rooms/${id(room)}/messages?dir=f&limit=1000&from=${from}`;
      const { body }: Reply = await observer.call("GET", path);
      events.push(...body.chunk);
      from = body.end;
    }
    return new History(events);
  }

  index(eventId: string): number {
    const index = this.#index.get(eventId);
    assert.ok(index !== undefined, `${eventId} is in nobody's history`);
    return index;
  }

  at(eventId: string): Event {
    return this.events[this.index(eventId)]!;
  }

  /** The history as it was when `eventId` was its newest event. */
  upTo(eventId: string): History {
    return new History(this.events.slice(0, this.index(eventId) + 1));
  }

  /** The value of a state's field after each event. */
  #course(type: string, key: string, field: string, initial: string): string[] {
    let now = initial;
    return this.events.map((event) => {
      if (event.type === type && event.state_key === key) now = String(event.content[field]);
      return now;
    });
  }

  /** By the specification's table of history visibility, for each event. */
  visibleTo(user: string): boolean[] {
    const members = this.#course("m.room.member", user, "membership", "leave");
    const field = "history_visibility";
    const rules = this.#course("m.room.history_visibility", "", field, "shared");
    const lastJoin = members.lastIndexOf("join");
    const allows = (rule: string | undefined, member: string | undefined, at: number) =>
      rule === "world_readable" || member === "join" ||
      rule === "shared" && at <= lastJoin ||
      rule === "invited" && member === "invite" && at <= lastJoin;
    return this.events.map((_, at) =>
      allows(rules[at], members[at], at) ||
      allows(rules[at - 1] ?? "shared", members[at - 1] ?? "leave", at)
    );
  }

  /** Whether the state event was in force at a moment when the user was in the room. */
  wasStateFor(user: string, eventId: string): boolean {
    const at = this.index(eventId);
    const slot = slotOf(this.events[at]!);
    const members = this.#course("m.room.member", user, "membership", "leave");
    for (let now = at; now < this.events.length; now++) {
      if (now > at && slotOf(this.events[now]!) === slot) return false;
      if (members[now] === "join") return true;
    }
    return false;
  }
}

interface Section {
  readonly timeline: { events: Event[]; limited?: boolean; prev_batch?: string };
  readonly state?: { events: Event[] };
}

/** One uninterrupted stay in a room, as the client saw it. */
class Stay {
  readonly state = new Map<string, string>();
  readonly timeline: string[] = [];
  /** Where something is missing: before which event of `timeline`, and where to page from. */
  readonly gaps: { readonly before: number; readonly prevBatch: string }[] = [];
}

/** What one answer held of a room, and the room's newest event at that time. */
interface Told {
  readonly newest: string;
  readonly timeline: readonly string[];
  readonly state: readonly string[];
}

export class Client {
  readonly user: User;
  readonly #room: string;
  readonly #types: readonly string[] | undefined;
  readonly #told: Told[] = [];
  #since: string | undefined;
  stay: Stay | undefined;

  constructor(user: User, room: string, types?: readonly string[]) {
    this.user = user;
    this.#room = room;
    this.#types = types;
  }

  /** @param lost the answer never arrives: the client repeats its question */
  async sync(observer: User, limit: number, lost: boolean): Promise<void> {
    const filter = {
      presence: { not_types: ["*"] },
      room: {
        rooms: [this.#room],
        timeline: { limit, ...(this.#types === undefined ? {} : { types: this.#types }) },
      },
    };
    const since = this.#since === undefined ? "" : `&since=${this.#since}`;
    const path = `sync?timeout=0&filter=${id(JSON.stringify(filter))}${since}`;
    const { status, body } = await this.user.call("GET", path);
    assert.equal(status, 200, JSON.stringify(body));
    const joined: Section | undefined = body.rooms?.join?.[this.#room];
    const left: Section | undefined = body.rooms?.leave?.[this.#room];
    await this.#note(observer, joined ?? left);
    if (lost) return;
    this.#since = body.next_batch;
    if (joined !== undefined) this.#apply(joined);
    // Put out and invited again between two answers is told as an invitation only.
    const { invite, knock } = body.rooms ?? {};
    if (left ?? invite?.[this.#room] ?? knock?.[this.#room]) this.stay = undefined;
  }

  async #note(observer: User, section: Section | undefined): Promise<void> {
    if (section === undefined) return;
    const path = `rooms/${id(this.#room)}/messages?dir=b&limit=1`;
    const { body } = await observer.call("GET", path);
    this.#told.push({
      newest: body.chunk[0].event_id,
      timeline: section.timeline.events.map((event) => event.event_id),
      state: (section.state?.events ?? []).map((event) => event.event_id),
    });
  }

  #apply({ timeline, state }: Section): void {
    const stay = this.stay ??= new Stay();
    if (timeline.limited === true) {
      assert.ok(timeline.prev_batch, "a limited timeline has no prev_batch");
      stay.gaps.push({ before: stay.timeline.length, prevBatch: timeline.prev_batch });
    }
    for (const event of timeline.events) stay.timeline.push(event.event_id);
    for (const event of [...state?.events ?? [], ...timeline.events]) {
      if (event.state_key !== undefined) stay.state.set(slotOf(event), event.event_id);
    }
  }

  /** Nothing it was ever told, in answers that were lost too, was hidden from it at the time. */
  assertToldNothingHidden(history: History): void {
    for (const { newest, timeline, state } of this.#told) {
      const then = history.upTo(newest);
      const visible = then.visibleTo(this.user.id);
      const mayKnow = (event: Event) =>
        visible[then.index(event.event_id)] ||
        // Everybody hears what others do to their own membership.
        event.type === "m.room.member" && event.state_key === this.user.id;
      for (const event of timeline.map((eventId) => then.at(eventId))) {
        assert.ok(mayKnow(event), `hidden from the timeline: ${show(event)}`);
      }
      for (const event of state.map((eventId) => then.at(eventId))) {
        const may = mayKnow(event) || then.wasStateFor(this.user.id, event.event_id);
        assert.ok(may, `hidden from the state: ${show(event)}`);
      }
    }
  }

  /** Every event came once and in order, or lies before a gap and is found from its prev_batch. */
  async assertToldAll(history: History): Promise<void> {
    const { timeline, gaps } = this.stay!;
    const order = timeline.map((eventId) => history.index(eventId));
    for (let i = 1; i < order.length; i++) {
      assert.ok(order[i - 1]! < order[i]!, `told twice or out of order: ${timeline[i]}`);
    }
    const known = new Set(timeline);
    for (const { before, prevBatch } of gaps) {
      for (const eventId of await this.#pageBack(prevBatch)) {
        const next = order[before] ?? Infinity;
        assert.ok(history.index(eventId) < next, `${prevBatch} leads to what was told after it`);
        known.add(eventId);
      }
    }
    const visible = history.visibleTo(this.user.id);
    history.events.forEach((event, at) => {
      if (!visible[at] || !(this.#types?.includes(event.type) ?? true)) return;
      assert.ok(known.has(event.event_id), `never told, and found before no gap: ${show(event)}`);
    });
  }

  async #pageBack(prevBatch: string): Promise<string[]> {
    const found: string[] = [];
    for (let from: string | undefined = prevBatch; from !== undefined;) {
      const path = `rooms/${id(this.#room)}/messages?dir=b&limit=3&from=${from}`;
      const { body }: Reply = await this.user.call("GET", path);
      found.push(...body.chunk.map((event: Event) => event.event_id));
      from = body.end;
    }
    return found;
  }
}

const show = (event: Event | undefined): string =>
  JSON.stringify({ type: event?.type, key: event?.state_key, content: event?.content });
