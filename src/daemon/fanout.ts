// SPDX-License-Identifier: Apache-2.0

/**
 * The machine's one sync loop, served to the services on this machine: `GET /v1/matrix/events`. One loop
 * for all is cheaper than one for each, in every process and at the homeserver.
 *
 * A reader sees the rooms that it is in, by the homeserver's word, from when it came to when it left.
 * While nobody follows, nothing is kept and nothing more is asked of the homeserver.
 */
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { MatrixEvent, SyncBatch } from "../messaging/mod.ts";
import { DaemonError } from "./errors.ts";
import { Members } from "./fanout_members.ts";
import { matchesType, Reader, type Subscription } from "./fanout_reader.ts";
import { Ring, type RingLimits } from "./fanout_ring.ts";

export interface FanoutOptions {
  /** Joined members of a room, by the homeserver's word. */
  readonly members: (room: string) => Promise<string[]>;
  /** These types are followed from now on: the sync has to ask for them. */
  readonly onTypes: (types: readonly string[]) => void;
  readonly clock: Clock;
  readonly log: Logger;
  readonly limits?: RingLimits;
  /** How long a reader that went away may come back without having missed anything; default 60 s. */
  readonly lingerMs?: number;
}

/** What is kept for readers that are late or away: about 4 MB while somebody follows. */
const LIMITS: RingLimits = { maxCount: 4_096, maxBytes: 4 * 1024 * 1024 };
const LINGER_MS = 60_000;
const MAX_READERS = 64;
const MAX_READERS_OF_ONE = 8;

export class Fanout implements Disposable {
  readonly #options: FanoutOptions;
  readonly #ring: Ring;
  readonly #members: Members;
  readonly #readers = new Set<Reader>();
  /** Subscriptions of readers that may come back. */
  readonly #away = new Map<Subscription, ReturnType<typeof setTimeout>>();
  #types: readonly string[] = [];
  #active = false;

  constructor(options: FanoutOptions) {
    this.#options = options;
    this.#ring = new Ring(options.limits ?? LIMITS);
    this.#members = new Members(options.members);
  }

  /** Where the stream is now. */
  get position(): string {
    return this.#ring.positionOf(this.#ring.last);
  }

  get readers(): number {
    return this.#readers.size;
  }

  /** True while events are kept: for somebody who reads, or may come back. */
  get isActive(): boolean {
    return this.#active;
  }

  /** Takes over what the sync brought. Costs nothing while nobody follows. */
  take(batch: SyncBatch): void {
    if (!this.#active) return;
    if (batch.initial) {
      // What came before can't be told from what is new.
      this.#ring.restart();
      this.#members.clear();
    } else {
      for (const { room, state, timeline, limited } of batch.joined) {
        if (limited) this.#gap(room);
        for (const event of state) this.#event(room, event, "state");
        for (const event of timeline) this.#event(room, event);
      }
      for (const room of batch.left) this.#members.drop(room);
    }
    for (const reader of this.#readers) reader.wake();
  }

  /** @throws {DaemonError} `too-many` */
  open(subscription: Subscription): Response {
    const { userId } = subscription;
    const own = [...this.#readers].filter((reader) => reader.subscription.userId === userId);
    if (this.#readers.size >= MAX_READERS || own.length >= MAX_READERS_OF_ONE) {
      throw new DaemonError(
        "too-many",
        `Cannot follow: ${own.length} streams are open for "${userId}", ${this.#readers.size} in all`,
        { status: 429, hint: "close one, or follow several rooms in one stream" },
      );
    }
    if (!this.#active) {
      // What happened while nothing was kept is not in the ring: no position of then is good now.
      this.#ring.restart();
      this.#active = true;
    }
    const reader = new Reader(
      subscription,
      this.#ring,
      this.#members,
      this.#options.clock,
      (ended) => this.#onEnd(ended),
    );
    this.#readers.add(reader);
    this.#followTypes();
    this.#options.log.info("event stream begins", { reader: userId, types: subscription.types });
    return new Response(reader.stream, {
      headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
    });
  }

  /** Whether a user is in a room now. @throws what the homeserver says */
  async isMember(userId: string, room: string): Promise<boolean> {
    // While nobody follows, nothing is kept up to date: asked each time.
    const members = this.#active ? this.#members : new Members(this.#options.members);
    for (;;) {
      const joined = members.joined(room);
      if (joined !== null) return joined.has(userId);
      await members.load(room);
    }
  }

  [Symbol.dispose](): void {
    for (const reader of [...this.#readers]) reader.cut("stopping");
    for (const timer of this.#away.values()) clearTimeout(timer);
    this.#away.clear();
    this.#active = false;
  }

  #gap(room: string): void {
    const seq = this.#ring.push({
      kind: "gap",
      room,
      type: "",
      member: null,
      json: JSON.stringify({ room }),
    });
    this.#members.gap(room, seq);
  }

  #event(room: string, event: MatrixEvent, part: "state" | "timeline" = "timeline"): void {
    const isMember = event.type === "m.room.member";
    const wanted = matchesType(this.#types, event.type);
    if (wanted) {
      this.#ring.push({
        kind: "event",
        room,
        type: event.type,
        member: isMember ? event.state_key ?? null : null,
        json: JSON.stringify({ room, event }),
      });
    }
    // A join that nobody is told of counts from the next event on.
    if (!isMember) return;
    const seq = this.#ring.last + (wanted ? 0 : 1);
    if (part === "state") this.#members.applyState(room, event, seq);
    else this.#members.apply(room, event, seq);
  }

  #onEnd(reader: Reader): void {
    if (!this.#readers.delete(reader)) return;
    const { subscription, cutFor } = reader;
    this.#options.log.info("event stream ends", { reader: subscription.userId, cut: cutFor });
    const timer = setTimeout(() => {
      this.#away.delete(subscription);
      this.#followTypes();
    }, this.#options.lingerMs ?? LINGER_MS);
    Deno.unrefTimer(timer);
    this.#away.set(subscription, timer);
  }

  /** Asks the sync for what is followed, and rests when nothing is. */
  #followTypes(): void {
    const followed = [...this.#away.keys()];
    for (const { subscription } of this.#readers) followed.push(subscription);
    this.#types = [...new Set(followed.flatMap(({ types }) => types))].sort();
    if (followed.length === 0) {
      this.#active = false;
      this.#ring.restart();
      this.#members.clear();
    }
    this.#options.onTypes(this.#types);
  }
}
