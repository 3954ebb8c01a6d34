// SPDX-License-Identifier: Apache-2.0

/** Messages, events, state, reactions and redactions. */
import { readJsonObject } from "../json.ts";
import { type MatrixAccount, MAX_EVENT_BYTES, V3 } from "./account.ts";
import { requireState } from "./checks.ts";
import {
  contentOf,
  eventName,
  eventType,
  type JsonObject,
  segment,
  stateKey,
  text,
} from "./parameters.ts";
import type { MatrixRoutes } from "./routes.ts";

export const sendRoutes: MatrixRoutes = {
  "message": {
    POST: async (account, request, query) => {
      const body = await readJsonObject(request, MAX_EVENT_BYTES);
      return await send(account, request, query, body["room"], "m.room.message", contentOf(body));
    },
  },
  "event": {
    POST: async (account, request, query) => {
      const body = await readJsonObject(request, MAX_EVENT_BYTES);
      const type = eventType(body["event_type"], "event_type");
      return await send(account, request, query, body["room"], type, contentOf(body));
    },
  },
  "reaction": {
    POST: async (account, request, query) => {
      const body = await readJsonObject(request, MAX_EVENT_BYTES);
      const content = {
        "m.relates_to": {
          rel_type: "m.annotation",
          event_id: eventName(body["event_id"]),
          key: text(body["key"], "key", 255),
        },
      };
      return await send(account, request, query, body["room"], "m.reaction", content);
    },
  },
  "redact": {
    POST: async (account, request, query) => {
      const body = await readJsonObject(request, MAX_EVENT_BYTES);
      account.authority.require("matrix/send/m.room.redaction");
      const event = segment(eventName(body["event_id"]), "event_id");
      const reason = body["reason"] === undefined ? {} : { reason: text(body["reason"], "reason") };
      const room = await account.room(body["room"], request.signal);
      const target = `${V3}/rooms/${room}/redact/${event}/${txnOf(query)}`;
      return await account.call(
        { method: "PUT", target, body: JSON.stringify(reason) },
        request.signal,
      );
    },
  },
  "state": {
    GET: async (account, request, query) => {
      account.authority.require("matrix/read");
      const type = eventType(query.get("type"), "type");
      const key = stateKey(query.get("key"));
      const room = await account.room(query.get("room"), request.signal);
      const target = `${V3}/rooms/${room}/state/${type}/${key}`;
      return await account.call({ method: "GET", target }, request.signal);
    },
    POST: async (account, request) => {
      const body = await readJsonObject(request, MAX_EVENT_BYTES);
      const type = eventType(body["event_type"], "event_type");
      const content = contentOf(body);
      const key = stateKey(body["state_key"]);
      requireState(account, type, decodeURIComponent(key), content);
      const room = await account.room(body["room"], request.signal);
      const target = `${V3}/rooms/${room}/state/${type}/${key}`;
      return await account.call(
        { method: "PUT", target, body: JSON.stringify(content) },
        request.signal,
      );
    },
  },
};

async function send(
  account: MatrixAccount,
  request: Request,
  query: URLSearchParams,
  given: unknown,
  type: string,
  content: JsonObject,
): Promise<Response> {
  account.authority.require(`matrix/send/${type}`);
  const txn = txnOf(query);
  const room = await account.room(given, request.signal);
  return await account.call({
    method: "PUT",
    target: `${V3}/rooms/${room}/send/${type}/${txn}`,
    body: JSON.stringify(content),
  }, request.signal);
}

/** The same id never sends twice, so that an agent may repeat a send it heard no answer to. */
function txnOf(query: URLSearchParams): string {
  return segment(query.get("txn") ?? crypto.randomUUID(), "txn");
}
