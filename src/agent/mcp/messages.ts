// SPDX-License-Identifier: Apache-2.0

/** What is said in rooms: read, answered, reacted to. */
import type { Content, MatrixEvent } from "../../lib/matrix/types.ts";
import type { ProxyClient } from "../../lib/proxyclient/mod.ts";
import { McpError } from "../../mcp/errors.ts";
import type { JsonObject, Tool } from "../../mcp/tool.ts";
import { countOf, proxyTool, ROOM, roomOf } from "./tool.ts";

/** An event holds 64 KB with all around it; a character takes up to 6 bytes in it. */
const MAX_TEXT = 10_000;
const MAX_PAGE = 100;
const PAGE = 30;

const TEXT = { type: "string" };

export function messageTools(proxy: ProxyClient): Tool[] {
  const { matrix } = proxy;
  const category = "messages";
  // The same one never sends twice, however often a request on the way is made again.
  const transaction = () => `mcp-${crypto.randomUUID()}`;
  return [
    proxyTool({
      name: "messages_read",
      title: "Read a room",
      description: "The newest messages of a room or of one thread in it, oldest first.",
      category,
      action: "matrix/read",
      properties: {
        room: ROOM,
        thread: {
          type: "string",
          description: "the thread's first event, to read only its answers",
        },
        limit: { type: "number", description: `how many, 1 to ${MAX_PAGE}; default ${PAGE}` },
        from: { type: "string", description: "`next` of the page before: what is older than it" },
      },
      gives: {
        room: TEXT,
        messages: { type: "array", items: { type: "object" } },
        next: { type: ["string", "null"] },
      },
      call: async (args) => {
        const limit = countOf(args, "limit", { fallback: PAGE, most: MAX_PAGE });
        return await readMessages(proxy, await roomOf(proxy, args), { ...args, limit });
      },
    }),
    proxyTool({
      name: "messages_send",
      title: "Write in a room",
      description:
        "Write a message. Agents take what you write for a task of theirs; as a `notice` it asks nobody for an answer.",
      category,
      action: "matrix/send/m.room.message",
      effect: "changes",
      properties: {
        text: { type: "string", description: `at most ${MAX_TEXT} characters` },
        room: ROOM,
        reply_to: { type: "string", description: "the event that this answers" },
        thread: { type: "string", description: "the thread's first event" },
        mentions: {
          type: "array",
          items: { type: "string" },
          description: "user ids; agents that are not among them leave the message alone",
        },
        notice: { type: "boolean", description: "it wants no answer", default: false },
      },
      required: ["text"],
      gives: { room: TEXT, event_id: TEXT },
      call: async (args, { signal }) => {
        const content = contentOf(args);
        const room = await roomOf(proxy, args);
        const event_id = await matrix.send(
          room,
          "m.room.message",
          content,
          transaction(),
          signal,
        );
        return { room, event_id };
      },
    }),
    proxyTool({
      name: "messages_react",
      title: "React to a message",
      description: "Put a sign on a message, as 👍.",
      category,
      action: "matrix/send/m.reaction",
      effect: "changes",
      properties: {
        event: { type: "string", description: "`event_id` of the message" },
        key: { type: "string", description: "the sign" },
        room: ROOM,
      },
      required: ["event", "key"],
      gives: { room: TEXT, event_id: TEXT },
      call: async (args) => {
        const { event, key } = args as { event: string; key: string };
        const room = await roomOf(proxy, args);
        return { room, event_id: await matrix.react(room, event, key, transaction()) };
      },
    }),
  ];
}

export async function readMessages(
  proxy: ProxyClient,
  room: string,
  { thread, from, limit }: {
    readonly thread?: string;
    readonly from?: string;
    readonly limit: number;
  },
): Promise<JsonObject> {
  const page = { limit, ...(from === undefined ? {} : { from }) };
  const shown = (chunk: readonly MatrixEvent[]) =>
    chunk.filter(({ type }) => type === "m.room.message").toReversed().map(shape);
  if (thread !== undefined) {
    const { chunk, next_batch } = await proxy.matrix.threadMessages(room, thread, page);
    return { room, messages: shown(chunk), next: next_batch ?? null };
  }
  const filter = { types: ["m.room.message"] };
  const { chunk, end } = await proxy.matrix.messages(room, { ...page, dir: "b", filter });
  return { room, messages: shown(chunk), next: end ?? null };
}

function shape({ event_id, sender, origin_server_ts, content }: MatrixEvent): JsonObject {
  const relation = (content["m.relates_to"] ?? {}) as Content;
  const reply = (relation["m.in_reply_to"] as Content | undefined)?.["event_id"];
  const kind = relation["rel_type"];
  return {
    event_id,
    sender,
    at: origin_server_ts ?? null,
    msgtype: content["msgtype"] ?? null,
    text: content["body"] ?? "",
    ...(reply === undefined ? {} : { reply_to: reply }),
    ...(kind === "m.thread" ? { thread: relation["event_id"] } : {}),
    ...(kind === "m.replace" ? { replaces: relation["event_id"] } : {}),
  };
}

/** @throws {McpError} when it is too long for one message */
function contentOf(args: JsonObject): Content {
  const { text, reply_to, thread, mentions, notice } = args as {
    text: string;
    reply_to?: string;
    thread?: string;
    mentions?: string[];
    notice?: boolean;
  };
  if (text.trim() === "" || text.length > MAX_TEXT) {
    throw new McpError("usage", `Cannot write ${text.length} characters`, {
      status: 400,
      hint: `a message has 1 to ${MAX_TEXT}; put what is longer into a file, or into several`,
    });
  }
  const relation = {
    ...(thread === undefined ? {} : { rel_type: "m.thread", event_id: thread }),
    ...(reply_to === undefined ? {} : { "m.in_reply_to": { event_id: reply_to } }),
  };
  return {
    msgtype: notice === true ? "m.notice" : "m.text",
    body: text,
    ...(Object.keys(relation).length === 0 ? {} : { "m.relates_to": relation }),
    ...(mentions === undefined ? {} : { "m.mentions": { user_ids: mentions } }),
  };
}
