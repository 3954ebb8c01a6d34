// SPDX-License-Identifier: Apache-2.0

/**
 * The state events that principals wait for. Each is read from the homeserver once; from then on the
 * machine's one sync brings its changes, and only those who wait for it are looked at again.
 */
import { matchesContent } from "../../lib/condition.ts";
import type { StartCondition, Trigger } from "../../lib/schema/mod.ts";
import type { MatrixClient, MatrixEvent, SyncBatch } from "../../messaging/mod.ts";
import { DaemonError } from "../errors.ts";

export interface ConditionsOptions {
  readonly client: Pick<MatrixClient, "sync">;
  /** Users of other servers decide nothing here. */
  readonly serverName: string;
  /** Types that the sync has to bring, whenever they change. */
  readonly onTypes: (types: readonly string[]) => void;
  readonly signal: AbortSignal;
}

interface Watched {
  readonly room: string;
  readonly type: string;
  readonly key: string;
  /** User ids of those who wait for it. */
  readonly waiting: Set<string>;
  /** Null: there is none. */
  event: MatrixEvent | null;
  isKnown: boolean;
  /** Counts what the sync brought: an answer to an earlier question is older. */
  news: number;
}

/** Whether a condition holds; else why not, for people. */
export type Verdict =
  | { readonly trigger: Trigger; readonly unmet: null }
  | { readonly trigger: null; readonly unmet: string };

export class Conditions {
  readonly #options: ConditionsOptions;
  readonly #watched = new Map<string, Watched>();
  readonly #of = new Map<string, string>();

  constructor(options: ConditionsOptions) {
    this.#options = options;
  }

  /**
   * Looks, and goes on watching for this user until `release` or another condition of theirs.
   * @throws {MessagingError} when the homeserver can't be asked; {DaemonError} `room-pending`
   */
  async holds(user: string, condition: StartCondition, room: string): Promise<Verdict> {
    const watched = this.#watch(user, room, condition.event_type, condition.state_key ?? "");
    // News that make it unknown again may come meanwhile; nothing is said of it before it is known.
    while (!watched.isKnown) await this.#read(watched);
    return this.#judge(watched, condition);
  }

  /** This user waits for nothing any more. */
  release(user: string): void {
    const id = this.#of.get(user);
    if (id === undefined) return;
    this.#of.delete(user);
    const watched = this.#watched.get(id)!;
    watched.waiting.delete(user);
    if (watched.waiting.size > 0) return;
    this.#watched.delete(id);
    this.#tellTypes();
  }

  /** @returns user ids of those who have to be looked at again */
  take(batch: SyncBatch): Set<string> {
    const touched = new Set<string>();
    if (this.#watched.size === 0) return touched;
    if (batch.initial) {
      // What the filter of this batch brought may be less than what is asked for by now.
      for (const watched of this.#watched.values()) this.#forget(watched, touched);
    }
    for (const room of batch.left) {
      for (const watched of this.#watched.values()) {
        if (watched.room === room) this.#forget(watched, touched);
      }
    }
    for (const { room, state, timeline } of batch.joined) {
      for (const event of [...state, ...timeline]) {
        if (event.state_key === undefined) continue;
        const watched = this.#watched.get(idOf(room, event.type, event.state_key));
        if (watched === undefined) continue;
        watched.news++;
        const same = watched.isKnown && event.event_id !== undefined &&
          watched.event?.event_id === event.event_id;
        watched.event = event;
        watched.isKnown = true;
        if (!same) { for (const user of watched.waiting) touched.add(user); }
      }
    }
    return touched;
  }

  #forget(watched: Watched, touched: Set<string>): void {
    watched.isKnown = false;
    watched.event = null;
    watched.news++;
    for (const user of watched.waiting) touched.add(user);
  }

  #watch(user: string, room: string, type: string, key: string): Watched {
    const id = idOf(room, type, key);
    if (this.#of.get(user) !== id) this.release(user);
    let watched = this.#watched.get(id);
    if (watched === undefined) {
      watched = { room, type, key, waiting: new Set(), event: null, isKnown: false, news: 0 };
      this.#watched.set(id, watched);
      // Before it is read: what happens in between comes by the sync.
      this.#tellTypes();
    }
    this.#of.set(user, id);
    watched.waiting.add(user);
    return watched;
  }

  #tellTypes(): void {
    const types = new Set([...this.#watched.values()].map(({ type }) => type));
    this.#options.onTypes([...types].sort());
  }

  /** One small sync of one room: the only question whose answer has the sender with the content. */
  async #read(watched: Watched): Promise<void> {
    const { room, type, key, news } = watched;
    const none = { not_types: ["*"] };
    const filter = JSON.stringify({
      presence: none,
      account_data: none,
      room: {
        rooms: [room],
        state: { types: [type], lazy_load_members: true },
        timeline: { types: [type], limit: 1 },
        ephemeral: none,
        account_data: none,
      },
    });
    const answer = await this.#options.client.sync({ filter, timeoutMs: 0 }, this.#options.signal);
    // The sync was faster, and knows better.
    if (watched.news !== news) return;
    const part = answer.rooms?.join?.[room];
    if (part === undefined) {
      throw new DaemonError("room-pending", `Cannot read "${room}" yet: it was joined just now`);
    }
    const events = [...part.state?.events ?? [], ...part.timeline?.events ?? []];
    watched.event = events.findLast((event) => event.type === type && event.state_key === key) ??
      null;
    watched.isKnown = true;
  }

  #judge({ event, room, type, key }: Watched, condition: StartCondition): Verdict {
    const what = `${type}${key === "" ? "" : ` "${key}"`} in ${
      condition.room_alias ?? "the config room"
    }`;
    const no = (why: string): Verdict => ({ trigger: null, unmet: `waiting for ${what}: ${why}` });
    if (event === null || Object.keys(event.content).length === 0) return no("there is none");
    if (!event.sender.endsWith(`:${this.#options.serverName}`)) {
      return no("it is by a user of another server");
    }
    if (!matchesContent(event.content, condition.content_match ?? {})) {
      return no(`it does not match ${JSON.stringify(condition.content_match)}`);
    }
    return {
      unmet: null,
      trigger: {
        type,
        state_key: key,
        room_id: room,
        sender: event.sender,
        ...(event.event_id === undefined ? {} : { event_id: event.event_id }),
        ...(event.origin_server_ts === undefined
          ? {}
          : { origin_server_ts: event.origin_server_ts }),
        content: event.content,
      },
    };
  }
}

function idOf(room: string, type: string, key: string): string {
  return JSON.stringify([room, type, key]);
}
