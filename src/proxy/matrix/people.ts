// SPDX-License-Identifier: Apache-2.0

/** Names, pictures and presence. */
import { badRequest } from "../errors.ts";
import { readJsonObject } from "../json.ts";
import { type MatrixAccount, MAX_EVENT_BYTES, V3 } from "./account.ts";
import { contentUri, segment, text, userName } from "./parameters.ts";
import type { MatrixHandler, MatrixRoutes } from "./routes.ts";

export const peopleRoutes: MatrixRoutes = {
  "profile": { GET: ofUser((user) => `/profile/${user}`) },
  "display-name": {
    GET: ofUser((user) => `/profile/${user}/displayname`),
    POST: async (account, request) => {
      const body = await readJsonObject(request, MAX_EVENT_BYTES);
      account.authority.require("matrix/profile");
      const displayname = text(body["display_name"], "display_name", 256);
      return await put(account, request, `/profile/${self(account)}/displayname`, { displayname });
    },
  },
  "avatar": {
    POST: async (account, request) => {
      const body = await readJsonObject(request, MAX_EVENT_BYTES);
      account.authority.require("matrix/profile");
      const { server, id } = contentUri(body["uri"]);
      const avatar = { avatar_url: `mxc://${server}/${id}` };
      return await put(account, request, `/profile/${self(account)}/avatar_url`, avatar);
    },
  },
  "presence": {
    GET: ofUser((user) => `/presence/${user}/status`),
    POST: async (account, request) => {
      const body = await readJsonObject(request, MAX_EVENT_BYTES);
      account.authority.require("matrix/send/m.presence");
      const { presence, status_msg } = body;
      if (presence !== "online" && presence !== "offline" && presence !== "unavailable") {
        throw badRequest("`presence` must be online, offline or unavailable");
      }
      return await put(account, request, `/presence/${self(account)}/status`, {
        presence,
        ...(status_msg === undefined ? {} : { status_msg: text(status_msg, "status_msg") }),
      });
    },
  },
};

/** Default user: the caller. */
function ofUser(path: (user: string) => string): MatrixHandler {
  return async (account, request, query) => {
    account.authority.require("matrix/read");
    const user = userName(query.get("user") ?? account.userId);
    account.requireServerOf(user);
    const target = V3 + path(segment(user, "user"));
    return await account.call({ method: "GET", target }, request.signal);
  };
}

function self(account: MatrixAccount): string {
  return segment(account.userId, "user");
}

function put(
  account: MatrixAccount,
  request: Request,
  path: string,
  body: unknown,
): Promise<Response> {
  return account.call(
    { method: "PUT", target: V3 + path, body: JSON.stringify(body) },
    request.signal,
  );
}
