// SPDX-License-Identifier: Apache-2.0

/** The one long poll of a process: whatever happens in between, it goes on or says why not. */
import { sha256Hex } from "../lib/canonical/mod.ts";
import { type Clock, systemClock } from "../lib/clock.ts";
import { messageOf } from "../lib/errors.ts";
import type { MatrixClient } from "./client.ts";
import { MessagingError } from "./errors.ts";
import { waitMs } from "./retry.ts";
import { SyncFilter } from "./sync_filter.ts";
import type { MatrixEvent, SyncResponse } from "./types.ts";

export interface SyncPosition {
  /** Digest of the filter that `filterId` stands for. */
  readonly filterDigest?: string;
  readonly filterId?: string;
  /** Absent: begin with the whole state. */
  readonly since?: string;
}

/** Where the loop remembers its place. Losing it costs one full sync, nothing else. */
export interface SyncStore {
  load(): Promise<SyncPosition>;
  save(position: SyncPosition): Promise<void>;
}

export interface RoomBatch {
  readonly room: string;
  /** State first, then timeline: the order in which they are to be applied. */
  readonly state: readonly MatrixEvent[];
  readonly timeline: readonly MatrixEvent[];
  /** The timeline has a gap before it; `state` already holds what changed within it. */
  readonly limited: boolean;
}

export interface Invitation {
  readonly room: string;
  /** Who invited, from the invitation's own membership event; null when it doesn't say. */
  readonly sender: string | null;
}

export interface SyncBatch {
  /** The first of this run without a `since`: it holds everything, so what is absent is gone. */
  readonly initial: boolean;
  readonly joined: readonly RoomBatch[];
  readonly invited: readonly Invitation[];
  /** Rooms this account is no longer in. */
  readonly left: readonly string[];
}

export type SyncHealth =
  | { readonly state: "ok"; readonly at: number }
  | { readonly state: "failing"; readonly at: number; readonly error: unknown };

export interface SyncLoop {
  readonly client: MatrixClient;
  readonly userId: string;
  /** A `SyncFilter` may change while the loop runs. */
  readonly filter: object | SyncFilter;
  readonly store: SyncStore;
  /** Awaited before the position moves on, so that a crash repeats a batch rather than loses it. */
  readonly onBatch: (batch: SyncBatch) => void | Promise<void>;
  readonly onHealth?: (health: SyncHealth) => void;
  readonly clock?: Clock;
  /** 0 ≤ n < 1; spreads the retries of many machines. */
  readonly random?: () => number;
  /** Long poll, default 30 s. */
  readonly timeoutMs?: number;
  readonly signal: AbortSignal;
}

/** Filters whose ids are remembered: those of a changing `SyncFilter` come back again and again. */
const MAX_FILTERS = 16;

/**
 * Syncs until `signal` aborts (then it returns) or the account is gone.
 * @throws {MessagingError} with `isAccountLost`, once; every other failure is retried
 */
export async function runSync(loop: SyncLoop): Promise<void> {
  const clock = loop.clock ?? systemClock;
  const random = loop.random ?? Math.random;
  const filter = loop.filter instanceof SyncFilter ? loop.filter : new SyncFilter(loop.filter);
  const filterIds = new Map<string, string>();
  let position = await loop.store.load();
  if (position.filterDigest !== undefined && position.filterId !== undefined) {
    filterIds.set(position.filterDigest, position.filterId);
  }
  let failures = 0;
  while (!loop.signal.aborted) {
    const { value, changed } = filter;
    try {
      const signal = AbortSignal.any([loop.signal, changed]);
      const filterDigest = await sha256Hex(JSON.stringify(value));
      const filterId = filterIds.get(filterDigest) ??
        await loop.client.createFilter(loop.userId, value, signal);
      if (filterIds.size >= MAX_FILTERS) filterIds.clear();
      filterIds.set(filterDigest, filterId);
      const { since } = position;
      position = { ...(since === undefined ? {} : { since }), filterDigest, filterId };
      const response = await loop.client.sync({
        ...(since === undefined ? {} : { since }),
        filter: filterId,
        // The first answer after a failure must not be a long poll: it tells that all is well again.
        timeoutMs: since === undefined || failures > 0 ? 0 : loop.timeoutMs ?? 30_000,
      }, signal);
      await loop.onBatch(readBatch(response, loop.userId, since === undefined));
      position = { since: response.next_batch, filterDigest, filterId };
      await loop.store.save(position);
      failures = 0;
      loop.onHealth?.({ state: "ok", at: clock.now() });
    } catch (thrown) {
      if (loop.signal.aborted) return;
      if (thrown instanceof MessagingError) {
        if (thrown.isAccountLost) throw thrown;
        if (isRefusedPosition(thrown)) filterIds.clear();
        position = withoutRefused(position, thrown);
      } else if (thrown === changed.reason) continue;
      failures++;
      loop.onHealth?.({ state: "failing", at: clock.now(), error: thrown });
      try {
        await clock.sleep(
          waitMs(thrown, failures, random),
          AbortSignal.any([loop.signal, loop.client.lost]),
        );
      } catch {
        if (loop.signal.aborted) return;
        throw loop.client.lost.reason;
      }
    }
  }
}

function isRefusedPosition(error: MessagingError): boolean {
  return error.status === 400 || error.status === 404;
}

/** A homeserver that was set up anew knows neither our filter nor our token: begin again. */
function withoutRefused(position: SyncPosition, error: MessagingError): SyncPosition {
  if (!isRefusedPosition(error)) return position;
  const about = messageOf(error).toLowerCase();
  if (about.includes("filter") || error.status === 404) {
    return position.since === undefined ? {} : { since: position.since };
  }
  const { since: _, ...rest } = position;
  return rest;
}

function readBatch(response: SyncResponse, userId: string, initial: boolean): SyncBatch {
  const joined = Object.entries(response.rooms?.join ?? {}).map(([room, part]) => ({
    room,
    state: part.state?.events ?? [],
    timeline: part.timeline?.events ?? [],
    limited: part.timeline?.limited === true,
  }));
  const invited = Object.entries(response.rooms?.invite ?? {}).map(([room, part]) => ({
    room,
    sender:
      part.invite_state?.events?.find((event) =>
        event.type === "m.room.member" && event.state_key === userId &&
        event.content?.["membership"] === "invite"
      )?.sender ?? null,
  }));
  return { initial, joined, invited, left: Object.keys(response.rooms?.leave ?? {}) };
}
