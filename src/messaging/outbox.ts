// SPDX-License-Identifier: Apache-2.0

/**
 * Messages that are neither lost nor doubled, whenever the process or the homeserver ends. Each is in the
 * journal before anybody is told that it will be sent, and is sent with the same transaction id until the
 * homeserver has answered: it knows a transaction of the same session that it has seen.
 *
 * A homeserver forgets transactions in time (Synapse: after 30 to 60 minutes). A message that was taken
 * while the process died, and is sent again by a process that starts only after that, comes twice.
 */
import type { Clock } from "../lib/clock.ts";
import type { MatrixClient } from "./client.ts";
import { MessagingError } from "./errors.ts";
import { Journal, type Message } from "./journal.ts";
import { retry } from "./retry.ts";

export type { Message } from "./journal.ts";

export interface OutboxOptions {
  /** The journal's file. */
  readonly path: string;
  readonly client: MatrixClient;
  /** Ends the sending; what waits is sent by the next life. */
  readonly signal: AbortSignal;
  readonly clock?: Clock;
  readonly random?: () => number;
  /** The homeserver refused it for good; it is dropped. */
  readonly onRefused?: (message: Message, error: MessagingError) => void;
  /** Told of each failure that is tried again. */
  readonly onFailure?: (message: Message, error: MessagingError, failures: number) => void;
  /** An answer could not be written down: after a restart the message may be sent again. */
  readonly onBroken?: (error: unknown) => void;
  /** Messages that may wait at one time; default 1,000. */
  readonly maxWaiting?: number;
}

/** One Matrix event holds 64 KiB at most; more than that would be refused anyway. */
const MAX_CONTENT_BYTES = 65_536;
const MAX_WAITING = 1_000;

export class Outbox implements Disposable {
  readonly #options: OutboxOptions;
  readonly #journal: Journal;
  /** Queues by room: each message waits for the one before it in its room, and for no other. */
  readonly #rooms = new Map<string, Message[]>();
  readonly #sending = new Set<Promise<void>>();

  private constructor(options: OutboxOptions, journal: Journal) {
    this.#options = options;
    this.#journal = journal;
  }

  /** Begins to send what an earlier life left. @throws what the file system says */
  static async open(options: OutboxOptions): Promise<Outbox> {
    const outbox = new Outbox(options, await Journal.open(options.path));
    for (const message of outbox.#journal.pending.values()) outbox.#enqueue(message);
    return outbox;
  }

  /** Messages that wait. */
  get size(): number {
    return this.#journal.pending.size;
  }

  /**
   * Takes a message over. When this resolves it survives a crash, and is sent once, after those of its
   * room that were put before it. A transaction that waits, or was done lately, is not taken twice.
   * @throws {MessagingError} `outbox-full`, `too-large`, `outbox-broken`: it was not taken
   */
  async put(message: Message): Promise<void> {
    const { pending } = this.#journal;
    if (pending.has(message.txn) || this.#journal.isDone(message.txn)) {
      return await this.#journal.written();
    }
    if (JSON.stringify(message.content).length > MAX_CONTENT_BYTES) {
      throw new MessagingError(
        "too-large",
        `Cannot send ${message.type} to "${message.room}": it is longer than 64 KiB`,
        { status: 413 },
      );
    }
    if (pending.size >= (this.#options.maxWaiting ?? MAX_WAITING)) {
      throw new MessagingError(
        "outbox-full",
        `Cannot send ${message.type} to "${message.room}": ${pending.size} messages wait already`,
        { status: 503, hint: "is the homeserver there?" },
      );
    }
    await this.#journal.put(message);
    this.#enqueue(message);
  }

  /** Resolves when nothing is being sent: all is done, or the signal or a lost account ended it. */
  async settled(): Promise<void> {
    while (this.#sending.size > 0) await Promise.all(this.#sending);
  }

  [Symbol.dispose](): void {
    this.#journal[Symbol.dispose]();
  }

  #enqueue(message: Message): void {
    const queue = this.#rooms.get(message.room);
    if (queue !== undefined) {
      queue.push(message);
      return;
    }
    const fresh = [message];
    this.#rooms.set(message.room, fresh);
    const sending = this.#drain(message.room, fresh).finally(() => this.#sending.delete(sending));
    this.#sending.add(sending);
  }

  async #drain(room: string, queue: Message[]): Promise<void> {
    const { client } = this.#options;
    const signal = AbortSignal.any([this.#options.signal, client.lost]);
    while (queue.length > 0 && !signal.aborted) {
      const message = queue[0]!;
      if (!await this.#deliver(message, signal)) return;
      queue.shift();
      try {
        await this.#journal.done(message.txn);
      } catch (thrown) {
        this.#options.onBroken?.(thrown);
      }
    }
    if (queue.length === 0) this.#rooms.delete(room);
  }

  /** @returns false when the sending ends, and the message stays in the journal */
  async #deliver(message: Message, signal: AbortSignal): Promise<boolean> {
    const { client, clock, random, onFailure, onRefused } = this.#options;
    const { room, type, content, txn } = message;
    try {
      await retry(() => client.send(room, type, content, txn, signal), {
        signal,
        ...(clock === undefined ? {} : { clock }),
        ...(random === undefined ? {} : { random }),
        onFailure: (error, failures) => onFailure?.(message, error, failures),
      });
    } catch (thrown) {
      if (signal.aborted) return false;
      const error = thrown instanceof MessagingError ? thrown : new MessagingError(
        "unsendable",
        `Cannot send ${type} to "${room}"`,
        { cause: thrown },
      );
      if (error.isAccountLost) return false;
      onRefused?.(message, error);
    }
    return true;
  }
}
