// SPDX-License-Identifier: Apache-2.0

/** The homeserver's list of public rooms, as far as the principal may see it; and aliases. */
import { readJsonObject } from "../json.ts";
import { asQuery, copy, copyNumber, isObject, segment } from "./parameters.ts";
import { type MatrixAccount, MAX_EVENT_BYTES, V3 } from "./account.ts";
import { requireAlias } from "./checks.ts";
import { badRequest } from "../errors.ts";
import { roomName, serverName } from "./parameters.ts";
import type { MatrixRoutes } from "./routes.ts";

export const directoryRoutes: MatrixRoutes = {
  "directory": {
    GET: async (account, request, query) => {
      const forwarded = new URLSearchParams();
      for (const name of ["since", "server"]) copy(query, forwarded, name);
      copyNumber(query, forwarded, "limit");
      const search = query.get("search");
      return await publicRooms(account, forwarded, search, request.signal);
    },
  },
  "alias": {
    POST: async (account, request) => {
      const body = await readJsonObject(request, MAX_EVENT_BYTES);
      const alias = aliasOf(body["alias"]);
      requireAlias(account, alias);
      const room = roomName(body["room"]);
      if (!room.startsWith("!")) throw badRequest("`room` must be a room id");
      return await account.call({
        method: "PUT",
        target: `${V3}/directory/room/${segment(alias, "alias")}`,
        body: JSON.stringify({ room_id: room }),
      }, request.signal);
    },
    DELETE: async (account, request, query) => {
      const alias = aliasOf(query.get("alias"));
      requireAlias(account, alias);
      const target = `${V3}/directory/room/${segment(alias, "alias")}`;
      return await account.call({ method: "DELETE", target }, request.signal);
    },
  },
};

function aliasOf(given: unknown): string {
  const alias = roomName(given);
  if (!/^#[^:]+:./.test(alias)) throw badRequest("`alias` must be a room alias");
  return alias;
}

/**
 * One page of the list. A room is shown that the principal is in, or whose alias a grant of
 * `matrix/directory` covers with its targets; the page's length says nothing of the others.
 *
 * @param search null: the whole list, as it is
 */
export async function publicRooms(
  account: MatrixAccount,
  query: URLSearchParams,
  search: string | null,
  signal: AbortSignal,
): Promise<Response> {
  account.authority.require("matrix/directory");
  const server = query.get("server");
  if (server !== null) account.requireServer(serverName(server));
  const page = search === null
    ? await account.json({ method: "GET", target: `${V3}/publicRooms${asQuery(query)}` }, signal)
    : await account.json({
      method: "POST",
      target: `${V3}/publicRooms${asQuery(new URLSearchParams(server === null ? {} : { server }))}`,
      body: JSON.stringify({
        filter: { generic_search_term: search },
        ...(query.has("since") ? { since: query.get("since") } : {}),
        ...(query.has("limit") ? { limit: Number(query.get("limit")) } : {}),
      }),
    }, signal);
  const { joined_rooms } = await account.json(
    { method: "GET", target: `${V3}/joined_rooms` },
    signal,
  );
  const joined = new Set(Array.isArray(joined_rooms) ? joined_rooms : []);
  const rooms = Array.isArray(page["chunk"]) ? page["chunk"] : [];
  const chunk = rooms.filter((room) =>
    isObject(room) && (joined.has(room["room_id"]) || isShown(account, room["canonical_alias"]))
  );
  return Response.json({
    chunk,
    ...("next_batch" in page ? { next_batch: page["next_batch"] } : {}),
    ...("prev_batch" in page ? { prev_batch: page["prev_batch"] } : {}),
  });
}

function isShown(account: MatrixAccount, alias: unknown): boolean {
  return typeof alias === "string" && alias.startsWith("#") &&
    account.authority.allowsOn("matrix/directory", alias.slice(1));
}
