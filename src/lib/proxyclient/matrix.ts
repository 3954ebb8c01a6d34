// SPDX-License-Identifier: Apache-2.0

/**
 * Matrix through the proxy. Where `MatrixClient` of `src/messaging` has a method of the same name, it takes and
 * gives the same, so that code written for one runs with the other. Rooms may be named by alias everywhere.
 */
import { canonicalJson } from "../canonical/mod.ts";
import type {
  Content,
  CreateRoomOptions,
  MatrixEvent,
  Messages,
  MessagesOptions,
  StateEvent,
  SyncOptions,
  SyncResponse,
} from "../matrix/types.ts";
import { ProxyClientError } from "./errors.ts";
import { type FollowedEvent, followEvents, type FollowOptions } from "./follow.ts";
import type { Transport } from "./transport.ts";

export interface Page {
  readonly from?: string;
  readonly to?: string;
  readonly dir?: "b" | "f";
  readonly limit?: number;
}

export interface Chunk<T> {
  readonly chunk: readonly T[];
  readonly next_batch?: string;
  readonly prev_batch?: string;
}

export interface Profile {
  readonly displayname?: string;
  readonly avatar_url?: string;
}

export interface Presence {
  readonly presence: "online" | "offline" | "unavailable";
  readonly status_msg?: string;
}

/** A public room, and a room of a space. */
export interface ListedRoom {
  readonly room_id: string;
  readonly name?: string;
  readonly topic?: string;
  readonly canonical_alias?: string;
  readonly num_joined_members?: number;
}

export interface DirectoryOptions {
  readonly search?: string;
  readonly since?: string;
  readonly limit?: number;
  readonly server?: string;
}

export interface File {
  /** To be read, or cancelled. */
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly contentType: string;
}

/** All methods throw `ProxyClientError`. */
export type ProxyMatrix = ReturnType<typeof createProxyMatrix>;

export function createProxyMatrix(transport: Transport) {
  const at = (name: string) => `/v1/matrix/${name}`;
  const get = <T>(
    name: string,
    what: string,
    query: Readonly<Record<string, string | number | undefined>> = {},
    signal?: AbortSignal,
  ) => transport.json<T>("GET", at(name), what, { query, signal });
  const post = <T>(
    name: string,
    what: string,
    body: unknown,
    query: Readonly<Record<string, string | undefined>> = {},
    signal?: AbortSignal,
  ) => transport.json<T>("POST", at(name), what, { query, body, signal });
  const idOf = async (answer: Promise<{ event_id: string }>) => (await answer).event_id;
  const about =
    (name: string, verb: string) =>
    async (room: string, user: string, reason?: string): Promise<void> => {
      await post(name, `${verb} "${user}" in "${room}"`, {
        room,
        user_id: user,
        ...(reason === undefined ? {} : { reason }),
      });
    };

  async function getState(room: string, type: string, key = ""): Promise<Content | null> {
    return await orNull(get<Content>("state", `read ${type} in "${room}"`, { room, type, key }));
  }

  return {
    whoami: (signal?: AbortSignal) =>
      get<{ user_id: string; device_id?: string }>("whoami", "ask who I am", {}, signal),
    /** @returns the room's id; room version 11 unless `options` says otherwise */
    createRoom: async (options: CreateRoomOptions) =>
      (await post<{ room_id: string }>("room", "create a room", options)).room_id,
    /** @returns the room's id, or null when the alias is not there */
    resolveAlias: async (alias: string, signal?: AbortSignal): Promise<string | null> => {
      const answer = get<{ room_id: string }>("resolve", `resolve "${alias}"`, { alias }, signal);
      return (await orNull(answer))?.room_id ?? null;
    },
    createAlias: async (alias: string, room: string): Promise<void> => {
      await post("alias", `create the alias "${alias}"`, { alias, room });
    },
    deleteAlias: async (alias: string): Promise<void> => {
      const what = `remove the alias "${alias}"`;
      await transport.json("DELETE", at("alias"), what, { query: { alias } });
    },
    joinedRooms: async () =>
      (await get<{ joined_rooms: string[] }>("joined-rooms", "list the rooms")).joined_rooms,
    /** @returns the room's id */
    join: async (room: string, signal?: AbortSignal) =>
      (await post<{ room_id: string }>("join", `join "${room}"`, { room }, {}, signal)).room_id,
    leave: async (room: string): Promise<void> => {
      await post("leave", `leave "${room}"`, { room });
    },
    invite: about("invite", "invite"),
    kick: about("kick", "put out"),
    ban: about("ban", "ban"),
    unban: about("unban", "lift the ban of"),
    /** @returns the content, or null when there is no such state */
    getState,
    /** The whole state of a room, with senders. */
    roomState: (room: string) =>
      get<StateEvent[]>("room-state", `read the state of "${room}"`, { room }),
    /**
     * Writes state unless it is there already with equal content.
     * @returns the new event's id, or null when nothing had to change
     */
    putState: async (
      room: string,
      type: string,
      key: string,
      content: Content,
      signal?: AbortSignal,
    ): Promise<string | null> => {
      const present = await getState(room, type, key).catch((thrown) => {
        // Who may write state need not be granted reading it.
        if (thrown instanceof ProxyClientError && thrown.code === "forbidden") return null;
        throw thrown;
      });
      if (present !== null && sameContent(present, content)) return null;
      const body = { room, event_type: type, state_key: key, content };
      return await idOf(post("state", `write ${type} in "${room}"`, body, {}, signal));
    },
    /** @param txn the same transaction id never sends twice */
    send: (room: string, type: string, content: Content, txn: string, signal?: AbortSignal) =>
      type === "m.room.message"
        ? idOf(post("message", `write in "${room}"`, { room, content }, { txn }, signal))
        : idOf(post(
          "event",
          `send ${type} to "${room}"`,
          { room, event_type: type, content },
          { txn },
          signal,
        )),
    react: (room: string, event: string, key: string, txn: string) =>
      idOf(post("reaction", `react to "${event}"`, { room, event_id: event, key }, { txn })),
    redact: (room: string, event: string, txn: string, reason?: string) =>
      idOf(post("redact", `redact "${event}"`, {
        room,
        event_id: event,
        ...(reason === undefined ? {} : { reason }),
      }, { txn })),
    messages: (room: string, page: MessagesOptions = {}) =>
      get<Messages>("messages", `read messages of "${room}"`, {
        room,
        ...page,
        filter: page.filter === undefined ? undefined : JSON.stringify(page.filter),
      }),
    threads: (room: string, page: { from?: string; limit?: number; include?: string } = {}) =>
      get<Chunk<MatrixEvent>>("threads", `list the threads of "${room}"`, { room, ...page }),
    threadMessages: (room: string, thread: string, page: Page = {}) =>
      get<Chunk<MatrixEvent>>("thread-messages", `read the thread "${thread}"`, {
        room,
        thread,
        ...page,
      }),
    relations: (
      room: string,
      event: string,
      page: Page & { rel_type?: string; event_type?: string } = {},
    ) =>
      get<Chunk<MatrixEvent>>("relations", `read what relates to "${event}"`, {
        room,
        event,
        ...page,
      }),
    context: (room: string, event: string, limit?: number) =>
      get<Record<string, unknown>>("context", `read around "${event}"`, { room, event, limit }),
    roomEvent: (room: string, event: string) =>
      get<MatrixEvent>("room-event", `read "${event}"`, { room, event }),
    /** User ids with this membership, default `join`. */
    members: async (room: string, membership = "join"): Promise<string[]> => {
      const answer = await get<{ chunk: MatrixEvent[] }>(
        "room-members",
        `list the members of "${room}"`,
        { room, membership },
      );
      return answer.chunk.flatMap((event) =>
        event.state_key === undefined ? [] : [event.state_key]
      );
    },
    hierarchy: (room: string, page: { from?: string; limit?: number; max_depth?: number } = {}) =>
      get<{ rooms: ListedRoom[]; next_batch?: string }>("hierarchy", `list the space "${room}"`, {
        room,
        ...page,
      }),
    profile: (user?: string) => get<Profile>("profile", "read a profile", { user }),
    displayName: async (user?: string): Promise<string | null> =>
      (await get<Profile>("display-name", "read a name", { user })).displayname ?? null,
    setDisplayName: async (name: string): Promise<void> => {
      await post("display-name", "change my name", { display_name: name });
    },
    setAvatar: async (uri: string): Promise<void> => {
      await post("avatar", "change my picture", { uri });
    },
    presence: (user?: string) => get<Presence>("presence", "read a presence", { user }),
    setPresence: async (presence: Presence): Promise<void> => {
      await post("presence", "change my presence", presence);
    },
    /**
     * @param room its id
     * @param me one's own user id
     * @param ms how long one is taken to be typing unless one says more; null: one no longer is
     */
    setTyping: async (room: string, me: string, ms: number | null): Promise<void> => {
      const path = `rooms/${encodeURIComponent(room)}/typing/${encodeURIComponent(me)}`;
      const body = ms === null ? { typing: false } : { typing: true, timeout: ms };
      const what = `type in "${room}"`;
      await transport.json("PUT", `/_matrix/client/v3/${path}`, what, { body });
    },
    directory: (options: DirectoryOptions = {}) =>
      get<Chunk<ListedRoom>>("directory", "list the public rooms", { ...options }),
    /** @param uri `mxc://server/id` */
    download: async (uri: string, signal?: AbortSignal): Promise<File> => {
      const what = `download "${uri}"`;
      const response = await transport.ask("GET", at("media"), what, { query: { uri }, signal });
      return {
        body: response.body ?? new ReadableStream({ start: (controller) => controller.close() }),
        contentType: response.headers.get("content-type") ?? "application/octet-stream",
      };
    },
    /** @returns the file's `mxc://` address */
    upload: async (
      body: BodyInit,
      { contentType, filename, signal }: {
        contentType?: string;
        filename?: string;
        signal?: AbortSignal;
      } = {},
    ): Promise<string> => {
      const headers = { "content-type": contentType ?? "application/octet-stream" };
      const answer = await transport.json<{ content_uri: string }>(
        "POST",
        at("media"),
        "upload a file",
        { query: { filename }, init: { body, headers }, signal },
      );
      return answer.content_uri;
    },
    /** The homeserver's largest upload, bytes. */
    mediaLimit: async (): Promise<number | null> =>
      (await get<Record<string, number>>("media-config", "read the limit"))["m.upload.size"] ??
        null,
    sync: (options: SyncOptions = {}, signal?: AbortSignal) =>
      get<SyncResponse>("sync", "sync", {
        since: options.since,
        filter: options.filter,
        timeout: options.timeoutMs ?? 0,
      }, signal),
    /** What happens, as it happens; resumes by itself. */
    events: (options: FollowOptions): AsyncGenerator<FollowedEvent> =>
      followEvents(transport, options),
  };
}

async function orNull<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (thrown) {
    if (thrown instanceof ProxyClientError && thrown.errcode === "M_NOT_FOUND") return null;
    throw thrown;
  }
}

/** Equal as Matrix compares content. Content that has no canonical form is never equal. */
function sameContent(a: Content, b: Content): boolean {
  try {
    return canonicalJson(a) === canonicalJson(b);
  } catch {
    return false;
  }
}
