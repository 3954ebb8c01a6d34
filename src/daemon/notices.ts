// SPDX-License-Identifier: Apache-2.0

/** What the daemon says to people, through the outbox: neither lost nor said twice. */
import type { Clock } from "../lib/clock.ts";
import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { type MatrixClient, MessagingError, Outbox } from "../messaging/mod.ts";

export interface NoticesOptions {
  readonly client: MatrixClient;
  /** Own directory; holds the journal `outbox.jsonl`. */
  readonly stateDir: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

export class Notices implements AsyncDisposable {
  readonly #options: NoticesOptions;
  readonly #outbox: Outbox | null;

  private constructor(options: NoticesOptions, outbox: Outbox | null) {
    this.#options = options;
    this.#outbox = outbox;
  }

  /** Without a journal (a full disk) notices are sent all the same, but may be lost or doubled. */
  static async open(options: NoticesOptions): Promise<Notices> {
    const { client, stateDir, clock, log, signal } = options;
    try {
      const outbox = await Outbox.open({
        path: `${stateDir}/outbox.jsonl`,
        client,
        clock,
        signal,
        onRefused: ({ room, type }, { message }) =>
          log.error("message refused, and dropped", { room, type, why: message }),
        onFailure: ({ room }, { message }, failures) => {
          if (failures === 1) log.warn("message waits for the homeserver", { room, why: message });
        },
        onBroken: (error) => log.error("outbox not written", { why: messageOf(error) }),
      });
      if (outbox.size > 0) log.info("messages of an earlier life are sent", { n: outbox.size });
      return new Notices(options, outbox);
    } catch (thrown) {
      log.error("outbox not opened: messages may be lost", { why: messageOf(thrown) });
      return new Notices(options, null);
    }
  }

  /** @throws {MessagingError} when it can be neither kept nor sent */
  async say(
    room: string,
    body: string,
    txn: string,
    part: Readonly<Record<string, unknown>> = {},
  ): Promise<void> {
    await this.post(room, { msgtype: "m.notice", body, ...part }, txn);
  }

  /** A notice with a part for programs, soon; a failure is logged. */
  tell(room: string, body: string, content: Readonly<Record<string, unknown>>): void {
    this.post(room, { msgtype: "m.notice", body, ...content }, `bureau-${crypto.randomUUID()}`)
      .catch((thrown) => this.#options.log.warn("notice not sent", { why: messageOf(thrown) }));
  }

  /** An event that is no message, soon; null where there is no room yet. A failure is logged. */
  record(room: string | null, type: string, content: Readonly<Record<string, unknown>>): void {
    if (room === null) return;
    this.post(room, content, `bureau-${crypto.randomUUID()}`, type)
      .catch((thrown) =>
        this.#options.log.warn("event not sent", { type, why: messageOf(thrown) })
      );
  }

  /** Any message. @throws {MessagingError} when it can be neither kept nor sent */
  async post(
    room: string,
    content: Readonly<Record<string, unknown>>,
    txn: string,
    type = "m.room.message",
  ): Promise<void> {
    const message = { room, type, content, txn };
    try {
      if (this.#outbox !== null) return await this.#outbox.put(message);
    } catch (thrown) {
      const { log } = this.#options;
      log.error("message not kept", { why: messageOf(thrown) });
      // While a thousand others wait, one more would not be heard; its state event tells it too.
      if (thrown instanceof MessagingError && thrown.code === "outbox-full") return;
    }
    await this.#options.client.send(room, message.type, message.content, txn, this.#options.signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#outbox?.settled();
    this.#outbox?.[Symbol.dispose]();
  }
}
