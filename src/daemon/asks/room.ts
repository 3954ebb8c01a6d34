// SPDX-License-Identifier: Apache-2.0

/**
 * The questions as people see them: a message in the config room, where no agent is a member, that takes
 * reactions and replies of admins and says in the end what became of it.
 */
import { messageOf } from "../../lib/errors.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import { readNotice } from "../../lib/schema/mod.ts";
import { type MatrixClient, type MatrixEvent, relationOf, retry } from "../../messaging/mod.ts";
import { type Answer, readReaction, readReply } from "./answers.ts";
import type { AskDesk } from "./desk.ts";
import { askContent, decidedContent, needsSignature } from "./message.ts";
import type { Ask, Decided } from "./types.ts";

/** What the sync must bring while a question is open. */
export const ANSWER_TYPES = ["m.reaction", "m.room.message"] as const;

export interface AskRoomOptions {
  readonly client: MatrixClient;
  /** The config room; null before it is known. */
  readonly room: () => string | null;
  /** User id of this machine, which the questions are sent by. */
  readonly machine: string;
  /** The same decision as at the daemon's socket. */
  readonly mayDecide: (user: string) => boolean;
  /** Who is mentioned. */
  readonly admins: readonly string[];
  readonly desk: () => AskDesk;
  /** Sends later and for certain, over restarts too. */
  readonly post: (room: string, content: Record<string, unknown>, txn: string) => Promise<void>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

export class AskRoom {
  readonly #options: AskRoomOptions;
  /** Event ids of the messages, as they become known. */
  readonly #sent = new Map<string, Promise<string | null>>();

  constructor(options: AskRoomOptions) {
    this.#options = options;
  }

  announce(ask: Ask): void {
    this.#sent.set(ask.id, this.#send(ask));
  }

  /** The message says from now on how it ended. */
  conclude(decided: Decided): void {
    const { log } = this.#options;
    this.#edit(decided).catch((thrown) =>
      log.warn("the end of an ask was not told", { ask: decided.id, why: messageOf(thrown) })
    ).finally(() => this.#sent.delete(decided.id));
  }

  /** What the sync, or a look back, brought of the config room; in its order. Twice is once. */
  take(events: readonly MatrixEvent[]): void {
    for (const event of events) {
      if (event.sender === this.#options.machine) this.#recognise(event);
      else this.#answer(event);
    }
  }

  /** Events are missing: they are looked for, so that no answer is. */
  async catchUp(): Promise<void> {
    const room = this.#options.room();
    if (room === null || this.#options.desk().pending.length === 0) return;
    try {
      const { chunk } = await this.#options.client.messages(room, { dir: "b", limit: 100 });
      this.take([...chunk].reverse());
    } catch (thrown) {
      this.#options.log.warn("answers may have been missed", { why: messageOf(thrown) });
    }
  }

  async #send(ask: Ask): Promise<string | null> {
    const { client, clock, log, admins, desk, signal } = this.#options;
    const room = this.#options.room();
    if (room === null) return null;
    const late = AbortSignal.timeout(Math.max(1_000, ask.until - clock.now()));
    const limit = AbortSignal.any([signal, late]);
    try {
      const event = await retry(
        () =>
          client.send(
            room,
            "m.room.message",
            askContent(ask, admins),
            `bureau-ask-${ask.id}`,
            limit,
          ),
        { signal: limit, clock },
      );
      desk().announced(ask.id, event);
      return event;
    } catch (thrown) {
      if (!signal.aborted) log.warn("ask not told", { ask: ask.id, why: messageOf(thrown) });
      return null;
    }
  }

  async #edit(decided: Decided): Promise<void> {
    const room = this.#options.room();
    // A message of an earlier life whose id was not written down: the same transaction tells it.
    const event = decided.event_id ?? await (this.#sent.get(decided.id) ?? this.#send(decided));
    if (room === null || event === null) return;
    const content = decidedContent(decided);
    await this.#options.post(room, {
      ...content,
      body: `* ${content["body"]}`,
      "m.new_content": content,
      "m.relates_to": { rel_type: "m.replace", event_id: event },
    }, `bureau-ask-${decided.id}-end`);
  }

  /** Our own message, seen before the answer to its sending: reactions may follow in the same breath. */
  #recognise({ type, content, event_id }: MatrixEvent): void {
    if (type !== "m.room.message" || event_id === undefined) return;
    const about = readNotice("egress_ask", content);
    if (about === null || relationOf({ content }) !== null) return;
    this.#options.desk().announced(about.id, event_id);
  }

  #answer(event: MatrixEvent): void {
    const read = event.type === "m.reaction" ? reactionOf(event) : replyOf(event);
    if (read === null) return;
    const { desk, mayDecide, log } = this.#options;
    const ask = desk().pending.find(({ event_id }) => event_id === read.about);
    if (ask === undefined) return;
    if (!mayDecide(event.sender)) {
      log.warn("egress ask: answer ignored, its sender may not decide", {
        ask: ask.id,
        sender: event.sender,
      });
      return;
    }
    if (read.answer.scope.kind === "always") return this.#explain(ask, event);
    const via = event.type === "m.reaction" ? "reaction" : "reply";
    desk().decide(ask.id, read.answer.verdict, read.answer.scope, { by: event.sender, via });
  }

  #explain(ask: Ask, event: MatrixEvent): void {
    const room = this.#options.room();
    if (room === null) return;
    this.#options.post(room, needsSignature(ask), `bureau-ask-${event.event_id ?? ask.id}-why`)
      .catch((thrown) => this.#options.log.warn("notice not sent", { why: messageOf(thrown) }));
  }
}

interface Read {
  /** Event id that it speaks of. */
  readonly about: string;
  readonly answer: Answer;
}

function reactionOf(event: MatrixEvent): Read | null {
  const relation = relationOf(event);
  if (relation?.rel_type !== "m.annotation" || relation.key === undefined) return null;
  const answer = readReaction(relation.key);
  return answer === null ? null : { about: relation.event_id, answer };
}

function replyOf({ type, content }: MatrixEvent): Read | null {
  const relation = content["m.relates_to"] as
    | { rel_type?: unknown; "m.in_reply_to"?: { event_id?: unknown } }
    | null
    | undefined;
  // An edit of an earlier message is not an answer of its own.
  if (type !== "m.room.message" || !relation || relation.rel_type === "m.replace") return null;
  const about = relation["m.in_reply_to"]?.event_id;
  const { body } = content;
  if (typeof about !== "string" || typeof body !== "string") return null;
  const answer = readReply(body);
  return answer === null ? null : { about, answer };
}
