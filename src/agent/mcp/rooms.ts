// SPDX-License-Identifier: Apache-2.0

/** The rooms that the agent is in, and how it comes into others. */
import { type ProxyClient, ProxyClientError } from "../../lib/proxyclient/mod.ts";
import type { JsonObject, Tool } from "../../mcp/tool.ts";
import { countOf, proxyTool, ROOM, roomOf } from "./tool.ts";

/** Of more rooms only the ids are given: each name is a question of its own. */
const MAX_NAMED = 50;

const TEXT = { type: "string" };
const LIST = (items: JsonObject) => ({ type: "array", items });

export interface KnownRoom {
  readonly room_id: string;
  readonly name: string | null;
  readonly alias: string | null;
}

export function roomTools(proxy: ProxyClient): Tool[] {
  const { matrix } = proxy;
  const category = "rooms";
  const named = { room: { ...ROOM, description: "the room's id or alias" } };
  const required = ["room"];
  return [
    proxyTool({
      name: "rooms_list",
      title: "Your rooms",
      description: "The rooms you are in, with their names where you may read.",
      category,
      action: null,
      gives: { rooms: LIST({ type: "object" }) },
      call: async (_, { signal }) => ({ rooms: await knownRooms(proxy, signal) }),
    }),
    proxyTool({
      name: "rooms_members",
      title: "Who is in a room",
      description: "The users who are in a room.",
      category,
      action: "matrix/read",
      properties: { room: ROOM },
      gives: { room: TEXT, members: LIST(TEXT) },
      call: async (args) => {
        const room = await roomOf(proxy, args);
        return { room, members: await matrix.members(room) };
      },
    }),
    proxyTool({
      name: "rooms_directory",
      title: "Public rooms",
      description: "Rooms that anybody finds, and may be joined where you are let in.",
      category,
      action: "matrix/directory",
      properties: {
        search: { type: "string", description: "a part of a name or topic" },
        since: { type: "string", description: "`next` of the page before" },
        limit: { type: "number", description: "how many, 1 to 100; default 20" },
      },
      gives: { rooms: LIST({ type: "object" }), next: { type: ["string", "null"] } },
      call: async (args) => {
        const limit = countOf(args, "limit", { fallback: 20, most: 100 });
        const { search, since } = args as { search?: string; since?: string };
        const page = await matrix.directory({
          limit,
          ...(search === undefined ? {} : { search }),
          ...(since === undefined ? {} : { since }),
        });
        return { rooms: page.chunk, next: page.next_batch ?? null };
      },
    }),
    proxyTool({
      name: "rooms_join",
      title: "Join a room",
      description: "Go into a room that you are invited to, or that lets anybody in.",
      category,
      action: "matrix/join",
      effect: "changes",
      idempotent: true,
      properties: named,
      required,
      gives: { room: TEXT },
      call: async ({ room }, { signal }) => ({ room: await matrix.join(room as string, signal) }),
    }),
    proxyTool({
      name: "rooms_leave",
      title: "Leave a room",
      description: "Go out of a room, or refuse an invitation. What you could read there is gone.",
      category,
      action: "matrix/leave",
      effect: "changes",
      idempotent: true,
      properties: named,
      required,
      gives: { left: TEXT },
      call: async ({ room }) => {
        await matrix.leave(room as string);
        return { left: room };
      },
    }),
  ];
}

export async function knownRooms(proxy: ProxyClient, signal: AbortSignal): Promise<KnownRoom[]> {
  const rooms: KnownRoom[] = [];
  let mayRead = true;
  const text = async (room: string, type: string, field: string): Promise<string | null> => {
    if (!mayRead || rooms.length >= MAX_NAMED) return null;
    try {
      const value = (await proxy.matrix.getState(room, type))?.[field];
      return typeof value === "string" ? value : null;
    } catch (thrown) {
      if (!(thrown instanceof ProxyClientError) || thrown.code !== "forbidden") throw thrown;
      mayRead = false;
      return null;
    }
  };
  for (const room_id of await proxy.matrix.joinedRooms()) {
    signal.throwIfAborted();
    const name = await text(room_id, "m.room.name", "name");
    const alias = await text(room_id, "m.room.canonical_alias", "alias");
    rooms.push({ room_id, name, alias });
  }
  return rooms;
}
