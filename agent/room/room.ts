// SPDX-License-Identifier: Apache-2.0

/**
 * A room that the agent listens in: what others wrote and has no answer yet, in order. The room itself remembers: an
 * answer names what it answers, and what was open besides, so everything before the oldest that the newest answer names
 * has one.
 */
import type { Content, MatrixEvent } from "../../src/lib/matrix/types.ts";
import type { ProxyClient } from "../../src/lib/proxyclient/mod.ts";
import { calledFirst, CHAIN_LENGTH, Chains, isProgram, mentioned } from "./talk.ts";

export interface Message {
  readonly id: string;
  readonly room: string;
  readonly sender: string;
  readonly text: string;
  /** From a program, which waits for what is answered. */
  readonly isQuestion: boolean;
  /** The message that its thread began with; null: it is in none. */
  readonly thread: string | null;
}

export interface RoomOptions {
  /** Default true. Of another room only that is for the agent which calls it. */
  readonly isOwn?: boolean;
  /** After so many messages of programs to one another a person has to say something. */
  readonly chain?: number;
}

/** An event holds 64 KB with all around it; a character takes up to 6 bytes in it. */
const MAX_ANSWER = 10_000;
const PAGE = 100;
/** In an answer's content: the ids of all that it answers. */
const ANSWERS = "m.bureau.answers";
/** In an answer's content: the oldest message that had no answer after it; absent: none. */
const OPEN = "m.bureau.open";
/** Looked at in a room that is not its own, and for a person's last word. */
const FAR_BACK = 1_000;

export class Room {
  /** Asked once, answered once, whatever the room's history has of it. */
  readonly #seen = new Set<string>();
  readonly #isOwn: boolean;
  readonly #chain: number;
  /** Programs that still wait for an answer. */
  readonly #owed = new Set<string>();
  /** The newest message of the last look: what is older was looked at. */
  #looked: string | undefined;

  constructor(
    readonly proxy: ProxyClient,
    readonly id: string,
    readonly me: string,
    { isOwn = true, chain = CHAIN_LENGTH }: RoomOptions = {},
  ) {
    this.#isOwn = isOwn;
    this.#chain = chain;
  }

  /** Oldest first; each only once in this object's life. */
  async unanswered(): Promise<Message[]> {
    const open: Message[] = [];
    const answered = new Set<string>();
    const chains = new Chains(this.#chain);
    /** Nothing that is older is open: each of these was seen. */
    let floor: Set<string> | null = null;
    let newest: string | undefined;
    let count = 0;
    let isDone = false;
    for await (const event of this.#history()) {
      newest ??= event.event_id;
      const answer = event.sender === this.me ? answerIn(event.content) : null;
      for (const id of answer?.ids ?? []) answered.add(id);
      floor ??= answer?.floor ?? null;
      const message = isDone ? null : this.#message(event);
      const isOpen = message !== null && !answered.has(message.id) && !this.#seen.has(message.id);
      if (isOpen) open.push(message);
      chains.add(event, isOpen);
      floor?.delete(event.event_id ?? "");
      isDone ||= floor?.size === 0 || event.event_id === this.#looked;
      const isFar = ++count >= FAR_BACK;
      if (isDone ? chains.isKnown || isFar : !this.#isOwn && isFar) break;
    }
    const news: Message[] = [];
    for (const message of open.reverse()) {
      if (chains.isTooLong(message.id)) await this.#leave(message);
      else news.push(message);
    }
    this.#looked = newest;
    for (const { id } of open) this.#seen.add(id);
    return news;
  }

  /** The room's messages, the newest first. */
  async *#history(): AsyncGenerator<MatrixEvent> {
    let from: string | undefined;
    while (true) {
      const page = await this.proxy.matrix.messages(this.id, {
        dir: "b",
        limit: PAGE,
        ...(from === undefined ? {} : { from }),
      });
      yield* page.chunk;
      if (page.chunk.length === 0 || page.end === undefined) return;
      from = page.end;
    }
  }

  #message({ type, sender, content, event_id }: MatrixEvent): Message | null {
    if (type !== "m.room.message" || sender === this.me || event_id === undefined) return null;
    const { msgtype, body } = content;
    if (typeof body !== "string" || !this.#isForMe(content, body)) return null;
    if ((content["m.relates_to"] as Content | undefined)?.["rel_type"] === "m.replace") return null;
    const isFromProgram = isProgram(sender);
    // A notice wants no answer. One that a program mentions me in is the answer to what I asked.
    const isAnswer = msgtype === "m.notice" && isFromProgram &&
      mentioned(content).includes(this.me) && questionOf(content) !== null;
    if (msgtype !== "m.text" && !isAnswer) return null;
    const isQuestion = isFromProgram && !isAnswer;
    const relation = content["m.relates_to"] as Content | undefined;
    const thread = relation?.["rel_type"] === "m.thread" ? textOf(relation["event_id"]) : null;
    return { id: event_id, room: this.id, sender, text: body, isQuestion, thread };
  }

  #isForMe(content: Content, body: string): boolean {
    const users = mentioned(content);
    if (users.length > 0) return users.includes(this.me);
    return this.#isOwn || calledFirst(body, [this.me]) !== null;
  }

  /** Without an answer that the room would remember: answers are in order, and others may come before. */
  async #leave({ id }: Message): Promise<void> {
    await this.proxy.matrix.send(this.id, "m.room.message", {
      msgtype: "m.notice",
      body: `I leave that: programs wrote to one another ${this.#chain} times since a person ` +
        "said something here. A word of a person, and we go on.",
    }, `leave-${id}`);
  }

  /**
   * A reply to the newest of them. Its transaction follows from that: said once, whatever dies in between.
   * @param messages all that it answers, oldest first; at least one
   * @param open the oldest message that has no answer yet, besides these
   */
  async answer(messages: readonly Message[], text: string, open: string | null): Promise<void> {
    const { id, thread } = messages.at(-1)!;
    for (const { isQuestion, sender } of messages) if (isQuestion) this.#owed.add(sender);
    const asked = await this.#asked(text);
    const users = asked === null ? [...this.#owed] : [asked];
    const body = text.length <= MAX_ANSWER
      ? text
      : `${text.slice(0, MAX_ANSWER)}…\n(${text.length - MAX_ANSWER} characters left out)`;
    await this.proxy.matrix.send(this.id, "m.room.message", {
      msgtype: asked === null ? "m.notice" : "m.text",
      body: body === "" ? "(no words)" : body,
      "m.relates_to": {
        ...(thread === null ? {} : { rel_type: "m.thread", event_id: thread }),
        "m.in_reply_to": { event_id: id },
      },
      [ANSWERS]: messages.map(({ id }) => id),
      ...(open === null ? {} : { [OPEN]: open }),
      ...(users.length === 0 ? {} : { "m.mentions": { user_ids: users } }),
    }, `re-${id}`);
    if (asked === null) this.#owed.clear();
  }

  /** The program that an answer begins with the name of; who waits for the answer is not asked by it. */
  async #asked(text: string): Promise<string | null> {
    if (!text.trimStart().startsWith("@")) return null;
    const members = await this.proxy.matrix.members(this.id);
    const user = calledFirst(text, members.filter((each) => isProgram(each) && each !== this.me));
    return user === null || this.#owed.has(user) ? null : user;
  }
}

interface Answer {
  readonly ids: readonly string[];
  /** Once these were seen, newest first, nothing that is older is open. */
  readonly floor: Set<string>;
}

/** @returns null: it is none */
function answerIn(content: Content): Answer | null {
  const question = questionOf(content);
  if (question === null) return null;
  const all = content[ANSWERS];
  // Those of before were notices. What its program writes by itself is none, though it may be a reply.
  if (!Array.isArray(all) && content["msgtype"] !== "m.notice") return null;
  const open = textOf(content[OPEN]);
  return {
    ids: Array.isArray(all) ? all : [question],
    floor: new Set(open === null ? [question] : [question, open]),
  };
}

function questionOf(content: Content): string | null {
  const relation = content["m.relates_to"] as Content | undefined;
  return textOf((relation?.["m.in_reply_to"] as Content | undefined)?.["event_id"]);
}

function textOf(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
