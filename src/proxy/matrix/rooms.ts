// SPDX-License-Identifier: Apache-2.0

/** Making rooms, and who is in them. */
import { readJsonObject } from "../json.ts";
import { type MatrixAccount, MAX_EVENT_BYTES, V3 } from "./account.ts";
import { requireCreateRoom, requireInvite } from "./checks.ts";
import { type JsonObject, roomName, segment, serverOf, text, userName } from "./parameters.ts";
import type { MatrixHandler, MatrixRoutes } from "./routes.ts";

export const roomRoutes: MatrixRoutes = {
  "room": {
    POST: async (account, request) => {
      const body = await readJsonObject(request, MAX_EVENT_BYTES);
      requireCreateRoom(account, body);
      // As everywhere in Bureau: servers' own defaults differ.
      const room = { room_version: "11", preset: "private_chat", ...body };
      return await post(account, request, "/createRoom", room);
    },
  },
  "join": {
    POST: async (account, request) => {
      const body = await readJsonObject(request, MAX_EVENT_BYTES);
      account.authority.require("matrix/join");
      const room = roomName(body["room"]);
      if (serverOf(room) !== null) account.requireServerOf(room);
      return await post(account, request, `/join/${segment(room, "room")}`, reasonOf(body));
    },
  },
  "leave": {
    POST: inRoom("/leave", (account, body) => {
      account.authority.require("matrix/leave");
      return reasonOf(body);
    }),
  },
  "invite": {
    POST: inRoom("/invite", (account, body) => ({
      user_id: requireInvite(account, body),
      ...reasonOf(body),
    })),
  },
  "kick": { POST: inRoom("/kick", about("matrix/kick")) },
  "ban": { POST: inRoom("/ban", about("matrix/ban")) },
  "unban": { POST: inRoom("/unban", about("matrix/ban")) },
};

/** A POST below one room. @param read checks, and gives what is sent on */
function inRoom(
  path: string,
  read: (account: MatrixAccount, body: JsonObject) => JsonObject,
): MatrixHandler {
  return async (account, request) => {
    const body = await readJsonObject(request, MAX_EVENT_BYTES);
    const forwarded = read(account, body);
    const room = await account.room(body["room"], request.signal);
    return await post(account, request, `/rooms/${room}${path}`, forwarded);
  };
}

function about(action: string) {
  return (account: MatrixAccount, body: JsonObject): JsonObject => {
    account.authority.require(action);
    const user = userName(body["user_id"], "user_id");
    return { user_id: user, ...reasonOf(body) };
  };
}

function reasonOf(body: JsonObject): JsonObject {
  return body["reason"] === undefined ? {} : { reason: text(body["reason"], "reason") };
}

function post(
  account: MatrixAccount,
  request: Request,
  path: string,
  body: JsonObject,
): Promise<Response> {
  return account.call(
    { method: "POST", target: V3 + path, body: JSON.stringify(body) },
    request.signal,
  );
}
