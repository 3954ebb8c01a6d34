// SPDX-License-Identifier: Apache-2.0

/** The one long poll of a process: whatever happens in between, it goes on or says why not. */
import { sha256Hex } from "../lib/canonical/mod.ts";
import { type Clock, systemClock } from "../lib/clock.ts";
import { messageOf } from "../lib/errors.ts";
import type { MatrixClient } from "./client.ts";
import { MessagingError } from "./errors.ts";
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
  readonly filter: object;
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

const BACKOFF_FIRST_MS = 1_000;
const BACKOFF_MAX_MS = 30_000;

/** 1 s doubling to 30 s, of which a random half is taken off at most. */
export function backoffMs(failures: number, random: () => number): number {
  const full = Math.min(BACKOFF_FIRST_MS * 2 ** Math.max(0, failures - 1), BACKOFF_MAX_MS);
  return Math.round(full * (1 - random() / 2));
}

/**
 * Syncs until `signal` aborts (then it returns) or the account is gone.
 * @throws {MessagingError} with `isAccountLost`, once; every other failure is retried
 */
export async function runSync(loop: SyncLoop): Promise<void> {
  const clock = loop.clock ?? systemClock;
  const random = loop.random ?? Math.random;
  const digest = await sha256Hex(JSON.stringify(loop.filter));
  let position = await loop.store.load();
  if (position.filterDigest !== digest) {
    position = position.since === undefined ? {} : { since: position.since };
  }
  let failures = 0;
  while (!loop.signal.aborted) {
    try {
      if (position.filterId === undefined) {
        const filterId = await loop.client.createFilter(loop.userId, loop.filter, loop.signal);
        position = { ...position, filterDigest: digest, filterId };
      }
      const response = await loop.client.sync({
        ...(position.since === undefined ? {} : { since: position.since }),
        filter: position.filterId!,
        // The first answer after a failure must not be a long poll: it tells that all is well again.
        timeoutMs: position.since === undefined || failures > 0 ? 0 : loop.timeoutMs ?? 30_000,
      }, loop.signal);
      await loop.onBatch(readBatch(response, loop.userId, position.since === undefined));
      position = { ...position, since: response.next_batch };
      await loop.store.save(position);
      failures = 0;
      loop.onHealth?.({ state: "ok", at: clock.now() });
    } catch (thrown) {
      if (loop.signal.aborted) return;
      if (thrown instanceof MessagingError) {
        if (thrown.isAccountLost) throw thrown;
        position = withoutRefused(position, thrown);
      }
      failures++;
      loop.onHealth?.({ state: "failing", at: clock.now(), error: thrown });
      const asked = thrown instanceof MessagingError ? thrown.retryAfterMs ?? 0 : 0;
      try {
        await clock.sleep(Math.max(asked, backoffMs(failures, random)), loop.signal);
      } catch {
        return;
      }
    }
  }
}

/** A homeserver that was set up anew knows neither our filter nor our token: begin again. */
function withoutRefused(position: SyncPosition, error: MessagingError): SyncPosition {
  if (error.status !== 400 && error.status !== 404) return position;
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
