// SPDX-License-Identifier: Apache-2.0

/**
 * The agent's room: what people wrote and has no answer yet, in order. The room itself remembers: an answer relates to
 * its question, and answers are given in order, so everything before the newest answer's question has one.
 */
import type { Content, MatrixEvent } from "../../src/lib/matrix/types.ts";
import type { ProxyClient } from "../../src/lib/proxyclient/mod.ts";

export interface Message {
  readonly id: string;
  readonly sender: string;
  readonly text: string;
}

/** An event holds 64 KB with all around it; a character takes up to 6 bytes in it. */
const MAX_ANSWER = 10_000;
const PAGE = 100;

export class Room {
  /** Asked once, answered once, whatever the room's history has of it. */
  readonly #seen = new Set<string>();

  constructor(
    readonly proxy: ProxyClient,
    readonly id: string,
    readonly me: string,
  ) {}

  /** Oldest first; each only once in this object's life. */
  async unanswered(): Promise<Message[]> {
    const open: Message[] = [];
    const answered = new Set<string>();
    let newest: string | null = null;
    let from: string | undefined;
    while (true) {
      const page = await this.proxy.matrix.messages(this.id, {
        dir: "b",
        limit: PAGE,
        ...(from === undefined ? {} : { from }),
      });
      for (const event of page.chunk) {
        const to = event.sender === this.me ? questionOf(event.content) : null;
        if (to !== null) {
          answered.add(to);
          newest ??= to;
        }
        const message = this.#message(event);
        if (message !== null) open.push(message);
      }
      const last = newest;
      if (last !== null && page.chunk.some(({ event_id }) => event_id === last)) break;
      if (page.chunk.length === 0 || page.end === undefined) break;
      from = page.end;
    }
    // What came before the newest answer's question was there when that was answered.
    const until = open.findIndex(({ id }) => id === newest);
    const news = (until === -1 ? open : open.slice(0, until))
      .filter(({ id }) => !answered.has(id) && !this.#seen.has(id)).reverse();
    for (const { id } of news) this.#seen.add(id);
    return news;
  }

  #message({ type, sender, content, event_id }: MatrixEvent): Message | null {
    if (type !== "m.room.message" || sender === this.me || event_id === undefined) return null;
    // A notice wants no answer: two programs would never come to an end.
    if (content["msgtype"] !== "m.text" || typeof content["body"] !== "string") return null;
    const relation = content["m.relates_to"] as Content | undefined;
    if (relation?.["rel_type"] === "m.replace") return null;
    const mentioned = (content["m.mentions"] as Content | undefined)?.["user_ids"];
    if (Array.isArray(mentioned) && mentioned.length > 0 && !mentioned.includes(this.me)) {
      return null;
    }
    return { id: event_id, sender, text: content["body"] };
  }

  /** The transaction follows from the question: said once, whatever dies in between. */
  async answer(message: Message, text: string): Promise<void> {
    const body = text.length <= MAX_ANSWER
      ? text
      : `${text.slice(0, MAX_ANSWER)}…\n(${text.length - MAX_ANSWER} characters left out)`;
    await this.proxy.matrix.send(this.id, "m.room.message", {
      msgtype: "m.notice",
      body: body === "" ? "(no words)" : body,
      "m.relates_to": { "m.in_reply_to": { event_id: message.id } },
    }, `re-${message.id}`);
  }
}

function questionOf(content: Content): string | null {
  const relation = content["m.relates_to"] as Content | undefined;
  const id = (relation?.["m.in_reply_to"] as Content | undefined)?.["event_id"];
  return typeof id === "string" ? id : null;
}
