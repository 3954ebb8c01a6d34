// SPDX-License-Identifier: Apache-2.0

/**
 * Questions as people see them: messages in the config room, where no agent is a member, that take reactions and replies
 * of those who may decide, and say in the end what became of them.
 */
import type { Clock } from "../lib/clock.ts";
import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { type NoticeKind, readNotice } from "../lib/schema/mod.ts";
import {
  type MatrixClient,
  type MatrixEvent,
  relationOf,
  retry,
  type SyncBatch,
} from "../messaging/mod.ts";
import { type Answer, readReaction, readReply } from "./asks/answers.ts";

/** What the sync must bring while a question is open. */
export const ANSWER_TYPES = ["m.reaction", "m.room.message"] as const;

export interface Question {
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly until: number;
  /** Of its message, once the homeserver has it. */
  readonly event_id: string | null;
}

/** Answers kept for a question whose message is not known yet. */
const MAX_EARLY = 64;

type Content = Record<string, unknown>;

/** One kind of question: its words, and who takes the answers. */
export interface QuestionKind<Q extends Question, Ended extends Q> {
  readonly notice: Extract<NoticeKind, "egress_ask" | "tool_approval">;
  /** Begins the transaction ids of its messages. */
  readonly prefix: string;
  readonly pending: () => readonly Q[];
  readonly announced: (id: string, event: string) => void;
  readonly mayDecide: (user: string, question: Q) => boolean;
  /** @returns what is said to an answer that can't be taken like that */
  readonly decide: (
    question: Q,
    answer: Answer,
    who: { readonly by: string; readonly via: "reaction" | "reply" },
  ) => Content | null;
  readonly asks: (question: Q) => Content;
  readonly ended: (question: Ended) => Content;
}

/** How the daemon asks people, whatever about. */
export interface Telling {
  readonly client: MatrixClient;
  /** Null before it is known. */
  readonly configRoom: () => string | null;
  /** User id of this machine, which the questions are sent by. */
  readonly machine: string;
  /** Who is mentioned. */
  readonly admins: readonly string[];
  /** Where the answers are kept. */
  readonly stateDir: string;
  /** Sends later and for certain, over restarts too. */
  readonly post: (room: string, content: Content, txn: string) => Promise<void>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

export class QuestionRoom<Q extends Question, Ended extends Q> {
  readonly #kind: QuestionKind<Q, Ended>;
  readonly #options: Telling;
  /** Event ids of the messages, as they become known. */
  readonly #sent = new Map<string, Promise<string | null>>();
  /**
   * Answers about messages that are not known. A daemon that was killed after it sent a question, before it wrote down the
   * id, learns it from the homeserver again, and an answer may be here before that.
   */
  readonly #early: { readonly about: string; readonly event: MatrixEvent }[] = [];

  constructor(kind: QuestionKind<Q, Ended>, options: Telling) {
    this.#kind = kind;
    this.#options = options;
  }

  announce(question: Q): void {
    this.#sent.set(question.id, this.#send(question));
  }

  /** The message says from now on how it ended. */
  conclude(ended: Ended): void {
    const { log } = this.#options;
    this.#edit(ended).catch((thrown) =>
      log.warn("the end of a question was not told", { id: ended.id, why: messageOf(thrown) })
    ).finally(() => this.#sent.delete(ended.id));
  }

  /** What the sync brought of the config room. */
  takeBatch(batch: SyncBatch): void {
    const room = this.#options.configRoom();
    for (const part of batch.joined) {
      if (part.room !== room) continue;
      this.#take(part.timeline);
      if (part.limited && !batch.initial) void this.catchUp();
    }
  }

  /** Events are missing: they are looked for, so that no answer is. */
  async catchUp(): Promise<void> {
    const room = this.#options.configRoom();
    if (room === null || this.#kind.pending().length === 0) return;
    try {
      const { chunk } = await this.#options.client.messages(room, { dir: "b", limit: 100 });
      this.#take([...chunk].reverse());
    } catch (thrown) {
      this.#options.log.warn("answers may have been missed", { why: messageOf(thrown) });
    }
  }

  /** In their order. Twice is once. */
  #take(events: readonly MatrixEvent[]): void {
    for (const event of events) {
      if (event.sender === this.#options.machine) this.#recognise(event);
      else this.#answer(event);
    }
  }

  async #send(question: Q): Promise<string | null> {
    const { client, clock, log, signal } = this.#options;
    const { asks, prefix } = this.#kind;
    const room = this.#options.configRoom();
    if (room === null) return null;
    const late = AbortSignal.timeout(Math.max(1_000, question.until - clock.now()));
    const limit = AbortSignal.any([signal, late]);
    const txn = `${prefix}-${question.id}`;
    try {
      const event = await retry(
        () => client.send(room, "m.room.message", asks(question), txn, limit),
        { signal: limit, clock },
      );
      this.#announced(question.id, event);
      return event;
    } catch (thrown) {
      if (!signal.aborted) log.warn("ask not told", { ask: question.id, why: messageOf(thrown) });
      return null;
    }
  }

  async #edit(ended: Ended): Promise<void> {
    const room = this.#options.configRoom();
    // A message of an earlier life whose id was not written down: the same transaction tells it.
    const event = ended.event_id ?? await (this.#sent.get(ended.id) ?? this.#send(ended));
    if (room === null || event === null) return;
    const content = this.#kind.ended(ended);
    await this.#options.post(room, {
      ...content,
      body: `* ${content["body"]}`,
      "m.new_content": content,
      "m.relates_to": { rel_type: "m.replace", event_id: event },
    }, `${this.#kind.prefix}-${ended.id}-end`);
  }

  /** Our own message, seen before the answer to its sending: reactions may follow in the same breath. */
  #recognise({ type, content, event_id }: MatrixEvent): void {
    if (type !== "m.room.message" || event_id === undefined) return;
    const about = readNotice(this.#kind.notice, content);
    if (about === null || relationOf({ content }) !== null) return;
    this.#announced(about.id, event_id);
  }

  #announced(id: string, event: string): void {
    this.#kind.announced(id, event);
    const answers = this.#early.filter(({ about }) => about === event);
    for (const answer of answers) {
      this.#early.splice(this.#early.indexOf(answer), 1);
      this.#answer(answer.event);
    }
  }

  #keepEarly(about: string, event: MatrixEvent): void {
    if (this.#kind.pending().every(({ event_id }) => event_id !== null)) return;
    this.#early.push({ about, event });
    if (this.#early.length > MAX_EARLY) this.#early.shift();
  }

  #answer(event: MatrixEvent): void {
    const read = event.type === "m.reaction" ? reactionOf(event) : replyOf(event);
    if (read === null) return;
    const { pending, mayDecide, decide, notice } = this.#kind;
    const { log } = this.#options;
    const question = pending().find(({ event_id }) => event_id === read.about);
    if (question === undefined) return this.#keepEarly(read.about, event);
    if (!mayDecide(event.sender, question)) {
      log.warn("answer ignored, its sender may not decide", {
        ...{ notice, ask: question.id, sender: event.sender },
      });
      return;
    }
    const via = event.type === "m.reaction" ? "reaction" : "reply";
    const said = decide(question, read.answer, { by: event.sender, via });
    if (said !== null) this.#explain(said, `${event.event_id ?? question.id}-why`);
  }

  #explain(content: Content, about: string): void {
    const room = this.#options.configRoom();
    if (room === null) return;
    this.#options.post(room, content, `${this.#kind.prefix}-${about}`)
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
