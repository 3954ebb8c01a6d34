// SPDX-License-Identifier: Apache-2.0

/**
 * A Matrix account's requests, stateless. Long-lived processes and the CLI use the same one; it holds
 * no rooms (`RoomStates` does) and no loop (`runSync` does).
 */
import { canonicalJson } from "../lib/canonical/mod.ts";
import { hasErrcode } from "./errors.ts";
import {
  connect,
  path,
  type RawRequester,
  type Requester,
  type RequesterOptions,
} from "./request.ts";
import type {
  Content,
  CreateRoomOptions,
  MatrixEvent,
  Messages,
  MessagesOptions,
  StateEvent,
  SyncOptions,
  SyncResponse,
} from "./types.ts";

const V3 = "/_matrix/client/v3";

/** Rooms are named by id, or by alias where noted. All methods throw `MessagingError`. */
export interface MatrixClient {
  readonly homeserverUrl: string;
  whoami(signal?: AbortSignal): Promise<{ user_id: string; device_id?: string }>;
  logout(): Promise<void>;
  /** @returns the room's id; room version 11 unless `options` says otherwise */
  createRoom(options: CreateRoomOptions): Promise<string>;
  /** @returns the room's id, or null when the alias is not there */
  resolveAlias(alias: string, signal?: AbortSignal): Promise<string | null>;
  createAlias(alias: string, room: string): Promise<void>;
  joinedRooms(): Promise<string[]>;
  /** Id or alias. @returns the room's id */
  join(room: string, signal?: AbortSignal): Promise<string>;
  invite(room: string, user: string): Promise<void>;
  kick(room: string, user: string, reason?: string): Promise<void>;
  leave(room: string): Promise<void>;
  /** @returns the content, or null when there is no such state */
  getState(room: string, type: string, key?: string): Promise<Content | null>;
  /** The whole state of a room, with senders. */
  roomState(room: string): Promise<StateEvent[]>;
  /**
   * Writes state unless it is there already with equal content (so a repeat is free and makes no
   * event). @returns the new event's id, or null when nothing had to change
   */
  putState(
    room: string,
    type: string,
    key: string,
    content: Content,
    signal?: AbortSignal,
  ): Promise<string | null>;
  /**
   * Sends a timeline event.
   * @param txn the same transaction id never sends twice, also over restarts, for the same session
   */
  send(
    room: string,
    type: string,
    content: Content,
    txn: string,
    signal?: AbortSignal,
  ): Promise<string>;
  redact(room: string, event: string, txn: string, reason?: string): Promise<string>;
  messages(room: string, options?: MessagesOptions): Promise<Messages>;
  /** User ids with this membership, default `join`. */
  members(room: string, membership?: string): Promise<string[]>;
  createFilter(user: string, filter: object, signal?: AbortSignal): Promise<string>;
  sync(options: SyncOptions, signal?: AbortSignal): Promise<SyncResponse>;
  /** Anything else, e.g. relations; `path` begins `/_matrix/`, its names encoded by the caller. */
  readonly request: Requester;
  /** Bytes instead of JSON; see `files.ts`. */
  readonly raw: RawRequester;
  /** Aborts once when the account is gone, with the `MessagingError` as reason; all requests end. */
  readonly lost: AbortSignal;
}

export interface ClientOptions extends RequesterOptions {
  readonly accessToken: string;
}

export function createMatrixClient(options: ClientOptions): MatrixClient {
  const { request, raw, lost } = connect(options);

  async function getState(room: string, type: string, key = ""): Promise<Content | null> {
    try {
      return await request("GET", V3 + path`/rooms/${room}/state/${type}/${key}`, {
        what: `read ${type} in "${room}"`,
      });
    } catch (thrown) {
      if (hasErrcode(thrown, "M_NOT_FOUND")) return null;
      throw thrown;
    }
  }

  async function idOf(
    method: "PUT" | "POST",
    where: string,
    body: unknown,
    what: string,
    signal?: AbortSignal,
  ): Promise<string> {
    const answer = await request<{ event_id: string }>(method, V3 + where, { body, what, signal });
    return answer.event_id;
  }

  return {
    homeserverUrl: options.homeserverUrl,
    request,
    raw,
    lost,
    whoami: (signal) =>
      request("GET", `${V3}/account/whoami`, { what: "check the session", signal }),
    async logout() {
      await request("POST", `${V3}/logout`, { what: "log out", body: {} });
    },
    async createRoom(room) {
      const body = { room_version: "11", preset: "private_chat", ...room };
      const what = `create the room "${room.room_alias_name ?? room.name ?? "unnamed"}"`;
      return (await request<{ room_id: string }>("POST", `${V3}/createRoom`, { what, body }))
        .room_id;
    },
    async resolveAlias(alias, signal) {
      try {
        const answer = await request<{ room_id: string }>(
          "GET",
          V3 + path`/directory/room/${alias}`,
          { what: `resolve "${alias}"`, signal },
        );
        return answer.room_id;
      } catch (thrown) {
        if (hasErrcode(thrown, "M_NOT_FOUND")) return null;
        throw thrown;
      }
    },
    async createAlias(alias, room) {
      await request("PUT", V3 + path`/directory/room/${alias}`, {
        what: `create the alias "${alias}"`,
        body: { room_id: room },
      });
    },
    async joinedRooms() {
      const answer = await request<{ joined_rooms: string[] }>("GET", `${V3}/joined_rooms`, {
        what: "list the joined rooms",
      });
      return answer.joined_rooms;
    },
    async join(room, signal) {
      const answer = await request<{ room_id: string }>("POST", V3 + path`/join/${room}`, {
        what: `join "${room}"`,
        body: {},
        signal,
      });
      return answer.room_id;
    },
    async invite(room, user) {
      await request("POST", V3 + path`/rooms/${room}/invite`, {
        what: `invite "${user}" to "${room}"`,
        body: { user_id: user },
      });
    },
    async kick(room, user, reason) {
      await request("POST", V3 + path`/rooms/${room}/kick`, {
        what: `put "${user}" out of "${room}"`,
        body: { user_id: user, ...(reason === undefined ? {} : { reason }) },
      });
    },
    async leave(room) {
      await request("POST", V3 + path`/rooms/${room}/leave`, {
        what: `leave "${room}"`,
        body: {},
      });
    },
    getState,
    roomState: (room) =>
      request("GET", V3 + path`/rooms/${room}/state`, { what: `read the state of "${room}"` }),
    async putState(room, type, key, content, signal) {
      const present = await getState(room, type, key);
      if (present !== null && sameContent(present, content)) return null;
      return await idOf(
        "PUT",
        path`/rooms/${room}/state/${type}/${key}`,
        content,
        `write ${type} in "${room}"`,
        signal,
      );
    },
    send: (room, type, content, txn, signal) =>
      idOf(
        "PUT",
        path`/rooms/${room}/send/${type}/${txn}`,
        content,
        `send ${type} to "${room}"`,
        signal,
      ),
    redact: (room, event, txn, reason) =>
      idOf(
        "PUT",
        path`/rooms/${room}/redact/${event}/${txn}`,
        reason === undefined ? {} : { reason },
        `redact "${event}"`,
      ),
    messages: (room, page = {}) =>
      request("GET", V3 + path`/rooms/${room}/messages`, {
        what: `read messages of "${room}"`,
        query: {
          dir: page.dir ?? "b",
          from: page.from,
          limit: page.limit,
          filter: page.filter === undefined ? undefined : JSON.stringify(page.filter),
        },
      }),
    async members(room, membership = "join") {
      const answer = await request<{ chunk: MatrixEvent[] }>(
        "GET",
        V3 + path`/rooms/${room}/members`,
        { what: `list the members of "${room}"`, query: { membership } },
      );
      return answer.chunk.flatMap((event) =>
        event.state_key === undefined ? [] : [event.state_key]
      );
    },
    async createFilter(user, filter, signal) {
      const answer = await request<{ filter_id: string }>(
        "POST",
        V3 + path`/user/${user}/filter`,
        { what: "store the sync filter", body: filter, signal },
      );
      return answer.filter_id;
    },
    sync: (sync, signal) => {
      const timeout = sync.timeoutMs ?? 0;
      return request("GET", `${V3}/sync`, {
        what: "sync",
        query: { since: sync.since, filter: sync.filter, timeout, set_presence: "offline" },
        // The answer to a long poll comes late by design; a dead connection must still end.
        timeoutMs: timeout + 30_000,
        signal,
      });
    },
  };
}

/** Equal as Matrix compares content. Content that has no canonical form is never equal. */
export function sameContent(a: Content, b: Content): boolean {
  try {
    return canonicalJson(a) === canonicalJson(b);
  } catch {
    return false;
  }
}
