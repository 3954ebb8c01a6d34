// SPDX-License-Identifier: Apache-2.0

/** Events about events: threads, replies, reactions, edits (Client-Server API, "Relationships"). */
import type { MatrixClient } from "./client.ts";
import { path } from "./request.ts";
import type { Content, MatrixEvent } from "./types.ts";

export interface Relation {
  readonly rel_type: string;
  readonly event_id: string;
  /** What a reaction says. */
  readonly key?: string;
}

/** What an event is about, or null. */
export function relationOf({ content }: Pick<MatrixEvent, "content">): Relation | null {
  const relation = content?.["m.relates_to"];
  if (typeof relation !== "object" || relation === null) return null;
  const { rel_type, event_id, key } = relation as Record<string, unknown>;
  if (typeof rel_type !== "string" || typeof event_id !== "string") return null;
  return { rel_type, event_id, ...(typeof key === "string" ? { key } : {}) };
}

/** The root of the thread that an event is in, or null. */
export function threadOf(event: Pick<MatrixEvent, "content">): string | null {
  const relation = relationOf(event);
  return relation?.rel_type === "m.thread" ? relation.event_id : null;
}

/**
 * The content, placed in a thread. Clients that know no threads show it as a reply.
 * @param root first event of the thread
 * @param replyTo an event of the thread that it answers; default: none, it is just the next
 */
export function inThread(content: Content, root: string, replyTo?: string): Content {
  return {
    ...content,
    "m.relates_to": {
      rel_type: "m.thread",
      event_id: root,
      is_falling_back: replyTo === undefined,
      "m.in_reply_to": { event_id: replyTo ?? root },
    },
  };
}

/** The content as an answer to an event, outside threads. */
export function inReplyTo(content: Content, event: string): Content {
  return { ...content, "m.relates_to": { "m.in_reply_to": { event_id: event } } };
}

/** @param key what is said of it, mostly one emoji; the same key twice by one sender is refused */
export async function react(
  client: MatrixClient,
  room: string,
  event: string,
  key: string,
  txn: string,
): Promise<string> {
  const relation = { rel_type: "m.annotation", event_id: event, key };
  return await client.send(room, "m.reaction", { "m.relates_to": relation }, txn);
}

/**
 * Replaces the content of a message of one's own.
 * @param event the original, never an edit of it
 */
export async function edit(
  client: MatrixClient,
  room: string,
  event: string,
  content: Content,
  txn: string,
): Promise<string> {
  const body = typeof content["body"] === "string" ? { body: `* ${content["body"]}` } : {};
  return await client.send(room, "m.room.message", {
    ...content,
    ...body,
    "m.new_content": content,
    "m.relates_to": { rel_type: "m.replace", event_id: event },
  }, txn);
}

/**
 * What an event says after its edits.
 * @param edits candidates in the order in which they came; those of others or of something else don't count
 */
export function editedContent(event: MatrixEvent, edits: Iterable<MatrixEvent>): Content {
  let content = event.content;
  for (const one of edits) {
    const relation = relationOf(one);
    const next = one.content["m.new_content"];
    const counts = relation?.rel_type === "m.replace" && relation.event_id === event.event_id &&
      one.sender === event.sender && one.type === event.type && one.state_key === undefined;
    if (counts && typeof next === "object" && next !== null) content = next as Content;
  }
  return content;
}

export interface RelationsOptions {
  /** `m.thread`, `m.annotation`, `m.replace`, … */
  readonly relType: string;
  readonly type?: string;
  readonly signal?: AbortSignal;
}

/** Events that are about one, oldest first, page by page. Follow a thread on with `threadOf`. */
export async function* relations(
  client: MatrixClient,
  room: string,
  event: string,
  { relType, type, signal }: RelationsOptions,
): AsyncGenerator<MatrixEvent> {
  const base = path`/_matrix/client/v1/rooms/${room}/relations/${event}/${relType}`;
  const where = type === undefined ? base : base + path`/${type}`;
  let from: string | undefined;
  do {
    const page: { chunk: MatrixEvent[]; next_batch?: string } = await client.request("GET", where, {
      what: `read what is about "${event}"`,
      query: { dir: "f", limit: 100, from },
      signal,
    });
    yield* page.chunk;
    // A server that stands still would never end.
    if (page.next_batch === from) return;
    from = page.next_batch;
  } while (from !== undefined);
}
