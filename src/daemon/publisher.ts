// SPDX-License-Identifier: Apache-2.0

/**
 * Tells the config room how the principals are. One queue a principal, the newest state wins, and
 * nothing waits for it: a dead homeserver delays reports and nothing else.
 */
import { sha256Hex } from "../lib/canonical/mod.ts";
import type { Clock } from "../lib/clock.ts";
import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { stateKey } from "../lib/ref/mod.ts";
import { EventType, type PrincipalStatus } from "../lib/schema/mod.ts";
import {
  backoffMs,
  type Content,
  type MatrixClient,
  maySpeakFor,
  MessagingError,
  type RoomStates,
  sameContent,
} from "../messaging/mod.ts";
import type { Notices } from "./notices.ts";
import { partOf } from "./report.ts";

export interface Report {
  /** `@localpart:server` */
  readonly userId: string;
  readonly status: PrincipalStatus;
  /** A sentence for people, or null when this change is of no interest to them. */
  readonly notice: string | null;
}

export interface PublisherOptions {
  readonly client: MatrixClient;
  readonly states: RoomStates;
  readonly room: () => string | null;
  /** Takes over a sentence for people and its part for programs; the same transaction is said once. */
  readonly say: Notices["say"];
  /** User id that the status events are sent by. */
  readonly machine: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

export class StatusPublisher {
  readonly #options: PublisherOptions;
  readonly #waiting = new Map<string, Report>();
  readonly #active = new Map<string, Promise<void>>();
  /** What was written last, until the sync brings it back. */
  readonly #written = new Map<string, Content>();

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /** What the room says of a principal now, by this machine's own word. */
  published(userId: string): Content | null {
    const room = this.#options.room();
    if (room === null) return null;
    const written = this.#written.get(userId);
    if (written !== undefined) return written;
    const entry = this.#options.states.get(room, EventType.principalStatus, stateKey(userId));
    if (entry === undefined) return null;
    const { allowed } = maySpeakFor(entry.sender, userId, {
      type: EventType.principalStatus,
      levels: undefined,
      admins: [],
      machine: this.#options.machine,
    });
    return allowed ? entry.content : null;
  }

  /** Publishes soon; a later report about the same principal takes the place of one that waits. */
  publish(report: Report): void {
    this.#waiting.set(report.userId, report);
    if (this.#active.has(report.userId)) return;
    const active = this.#drain(report.userId).finally(() => {
      this.#active.delete(report.userId);
      // What came after the last look must not wait for the next report.
      const later = this.#waiting.get(report.userId);
      if (later !== undefined && this.#options.room() !== null && !this.#options.signal.aborted) {
        this.publish(later);
      }
    });
    this.#active.set(report.userId, active);
  }

  /** Resolves when nothing is waiting. */
  async settled(): Promise<void> {
    while (this.#active.size > 0) await Promise.all(this.#active.values());
  }

  async #drain(userId: string): Promise<void> {
    const { signal, clock, log } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      const report = this.#waiting.get(userId);
      const room = this.#options.room();
      if (report === undefined || room === null) return;
      try {
        await this.#write(room, report);
        if (this.#waiting.get(userId) === report) this.#waiting.delete(userId);
        failures = 0;
      } catch (thrown) {
        if (signal.aborted) return;
        if (thrown instanceof MessagingError && !thrown.isPassing) {
          // A 4xx stays a 4xx: the log has to do.
          log.error("status not published", { user: userId, why: thrown.message });
          this.#waiting.delete(userId);
          return;
        }
        failures++;
        if (failures === 1) {
          log.warn("status waits for the homeserver", { user: userId, why: messageOf(thrown) });
        }
        await clock.sleep(backoffMs(failures, Math.random), signal).catch(() => {});
      }
    }
  }

  /**
   * The notice first: should the daemon end in between, its successor finds the old state, writes both
   * again, and the outbox knows the transaction already.
   */
  async #write(room: string, { userId, status, notice }: Report): Promise<void> {
    const { client, signal, say } = this.#options;
    const content = status as unknown as Content;
    const present = this.published(userId);
    if (present !== null && sameContent(present, content)) return;
    if (notice !== null) {
      // One start is one start: a new assignment that changes nothing of it must not tell it again, though
      // the report of it is made before the first one's is written.
      const issuedAt = status.phase === "running" ? 0 : status.issued_at ?? 0;
      const subject = [userId, issuedAt, status.phase, status.since].join("\n");
      const txn = `bureau-${(await sha256Hex(subject)).slice(0, 32)}`;
      await say(room, notice, txn, partOf(status));
    }
    await client.putState(
      room,
      EventType.principalStatus,
      stateKey(userId),
      content,
      signal,
    );
    this.#written.set(userId, content);
  }
}
