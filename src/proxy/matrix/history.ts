// SPDX-License-Identifier: Apache-2.0

/** What stands in the rooms: messages, threads, relations, single events, members and state. All `matrix/read`. */
import { badRequest } from "../errors.ts";
import { type MatrixAccount, V1, V3 } from "./account.ts";
import {
  asQuery,
  copy,
  copyNumber,
  eventName,
  eventType,
  segment,
  serverOf,
} from "./parameters.ts";
import type { MatrixHandler, MatrixRoutes } from "./routes.ts";

/** A GET below one room. @param path what follows `/rooms/<id>` */
function ofRoom(
  api: string,
  path: (query: URLSearchParams, forwarded: URLSearchParams) => string,
): MatrixHandler {
  return async (account, request, query) => {
    account.authority.require("matrix/read");
    const forwarded = new URLSearchParams();
    const below = path(query, forwarded);
    const room = await account.room(query.get("room"), request.signal);
    const target = `${api}/rooms/${room}${below}${asQuery(forwarded)}`;
    return await account.call({ method: "GET", target }, request.signal);
  };
}

function paginate(query: URLSearchParams, forwarded: URLSearchParams): void {
  for (const name of ["from", "to"]) copy(query, forwarded, name);
  copyNumber(query, forwarded, "limit");
  const dir = query.get("dir");
  if (dir !== null) forwarded.set("dir", dir === "f" ? "f" : "b");
}

function relations(query: URLSearchParams, event: string, relation: string | null): string {
  const type = query.get("event_type");
  if (type !== null && relation === null) throw badRequest("`event_type` needs `rel_type` too");
  return `/relations/${segment(eventName(event), "event")}` +
    (relation === null ? "" : `/${eventType(relation, "rel_type")}`) +
    (type === null ? "" : `/${eventType(type, "event_type")}`);
}

export const historyRoutes: MatrixRoutes = {
  "messages": {
    GET: ofRoom(V3, (query, forwarded) => {
      forwarded.set("dir", "b");
      paginate(query, forwarded);
      copy(query, forwarded, "filter");
      return "/messages";
    }),
  },
  "relations": {
    GET: ofRoom(V1, (query, forwarded) => {
      paginate(query, forwarded);
      return relations(query, query.get("event") ?? "", query.get("rel_type"));
    }),
  },
  "thread-messages": {
    GET: ofRoom(V1, (query, forwarded) => {
      paginate(query, forwarded);
      return relations(query, query.get("thread") ?? "", "m.thread");
    }),
  },
  "threads": {
    GET: ofRoom(V1, (query, forwarded) => {
      paginate(query, forwarded);
      if (query.get("include") === "participated") forwarded.set("include", "participated");
      return "/threads";
    }),
  },
  "context": {
    GET: ofRoom(V3, (query, forwarded) => {
      copyNumber(query, forwarded, "limit");
      return `/context/${segment(eventName(query.get("event"), "event"), "event")}`;
    }),
  },
  "room-event": {
    GET: ofRoom(
      V3,
      (query) => `/event/${segment(eventName(query.get("event"), "event"), "event")}`,
    ),
  },
  "room-members": {
    GET: ofRoom(V3, (query, forwarded) => {
      const membership = query.get("membership");
      if (membership !== null) {
        if (!/^(?:join|invite|knock|leave|ban)$/.test(membership)) {
          throw badRequest("`membership` must be join, invite, knock, leave or ban");
        }
        forwarded.set("membership", membership);
      }
      return "/members";
    }),
  },
  "room-state": { GET: ofRoom(V3, () => "/state") },
  "hierarchy": {
    GET: ofRoom(V1, (query, forwarded) => {
      copy(query, forwarded, "from");
      for (const name of ["limit", "max_depth"]) copyNumber(query, forwarded, name);
      return "/hierarchy";
    }),
  },
  "whoami": { GET: (account, request) => read(account, request, `${V3}/account/whoami`) },
  "joined-rooms": { GET: (account, request) => read(account, request, `${V3}/joined_rooms`) },
  "resolve": {
    GET: (account, request, query) => {
      const alias = query.get("alias") ?? "";
      if (!alias.startsWith("#") || serverOf(alias) === null) {
        throw badRequest("the query needs `alias`, a room alias");
      }
      account.requireServerOf(alias);
      return read(account, request, `${V3}/directory/room/${segment(alias, "alias")}`);
    },
  },
  "sync": {
    GET: (account, request, query) => {
      account.authority.require("matrix/read");
      const forwarded = new URLSearchParams();
      for (const name of ["since", "filter"]) copy(query, forwarded, name);
      copyNumber(query, forwarded, "timeout");
      return read(account, request, `${V3}/sync${asQuery(forwarded)}`);
    },
  },
};

function read(account: MatrixAccount, request: Request, target: string): Promise<Response> {
  return account.call({ method: "GET", target }, request.signal);
}
