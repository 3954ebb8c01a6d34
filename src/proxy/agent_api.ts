// SPDX-License-Identifier: Apache-2.0

/**
 * `proxy.sock`: what an agent sees. `/v1/matrix/*` bodies are the Matrix Client-Server API's, but for rooms,
 * which may be named by alias. Stock Matrix clients use `/_matrix/…` beside it (`matrix/table.ts`).
 */
import * as z from "zod/mini";
import { PERMISSIONS } from "../lib/approval/limits.ts";
import { defineApi } from "../lib/http/api.ts";
import { ProxyPolicy, RequestRule } from "../lib/schema/events.ts";

const object = z.record(z.string(), z.unknown());
const room = { room: "id or alias" };
const page = { from: "token", to: "token", dir: "`b` (default) or `f`", limit: "count" };
const txn = { txn: "transaction id: the same one never sends twice" };
const reason = z.optional(z.string());

const said = z.object({
  state: z.enum(["working", "waiting", "idle"]),
  /** One line, 200 characters at most. */
  message: z.nullable(z.string()),
  /** ms epoch */
  at: z.number(),
});

const about = z.object({ room: z.string(), user_id: z.string(), reason });

export const proxyAgentApi = defineApi({
  title: "Bureau proxy, as an agent sees it",
  version: "1",
  routes: {
    health: {
      method: "GET",
      path: "/health",
      summary: "Alive",
      response: z.object({ status: z.string() }),
    },
    identity: {
      method: "GET",
      path: "/v1/identity",
      summary: "Who the caller is, decided by the socket",
      response: z.object({
        principal: z.string(),
        user_id: z.nullable(z.string()),
        server_name: z.string(),
        fleet: z.string(),
        machine: z.string(),
        room: z.nullable(z.string()),
        services: z.array(z.string()),
      }),
    },
    grants: {
      method: "GET",
      path: "/v1/grants",
      summary: "What the caller may do, and what it is denied",
      response: ProxyPolicy,
    },
    attention: {
      method: "GET",
      path: "/v1/attention",
      summary: "What the caller said of itself last",
      response: z.object({ said: z.nullable(said) }),
    },
    setAttention: {
      method: "PUT",
      path: "/v1/attention",
      summary:
        "Say that one works, waits for a person, or has nothing to do. It counts more than what the terminal looks like; it needs no grant",
      request: z.object({
        state: z.enum(["working", "waiting", "idle"]),
        message: z.optional(z.nullable(z.string())),
      }),
      response: z.object({ said }),
    },
    approval: {
      method: "POST",
      path: "/v1/approvals",
      summary:
        "Ask an operator whether a tool may be called. It waits at most 25 s; without a decision ask again with the same key. Each key is answered once; after 300 s the answer is no. It needs no grant",
      request: z.object({
        /** 16 to 64 letters, digits, `-` and `_`: of this one call. */
        key: z.string(),
        tool: z.string(),
        permission: z.enum(PERMISSIONS),
        /** The command, the path, the address; 4000 characters at most. */
        resource: z.string(),
      }),
      response: z.object({
        decided: z.boolean(),
        approved: z.optional(z.boolean()),
        why: z.optional(z.string()),
      }),
    },
    services: {
      method: "GET",
      path: "/v1/services",
      summary: "The services below /http/ that the caller may use at this moment, with their rules",
      response: z.object({
        services: z.array(z.object({
          name: z.string(),
          kind: z.literal("http"),
          path: z.string(),
          host: z.nullable(z.string()),
          allow: z.optional(z.array(RequestRule)),
          deny: z.optional(z.array(RequestRule)),
        })),
      }),
    },
    openapi: { method: "GET", path: "/v1/openapi.json", summary: "This document", kind: "json" },
    whoami: { method: "GET", path: "/v1/matrix/whoami", summary: "Matrix account", kind: "json" },
    joinedRooms: { method: "GET", path: "/v1/matrix/joined-rooms", summary: "Rooms joined" },
    resolve: {
      method: "GET",
      path: "/v1/matrix/resolve",
      summary: "Room id of an alias",
      query: { alias: "`#…:server`" },
    },
    getState: {
      method: "GET",
      path: "/v1/matrix/state",
      summary: "One state event's content; grant `matrix/read`",
      query: { ...room, type: "event type", key: "state key, default empty" },
    },
    putState: {
      method: "POST",
      path: "/v1/matrix/state",
      summary:
        "Write a state event; grant `matrix/state/<event type>`, and for m.room.member the membership's own",
      request: z.object({
        room: z.string(),
        event_type: z.string(),
        state_key: z.optional(z.string()),
        content: object,
      }),
    },
    sendMessage: {
      method: "POST",
      path: "/v1/matrix/message",
      summary: "Send m.room.message; grant `matrix/send/m.room.message`",
      query: txn,
      request: z.object({ room: z.string(), content: object }),
    },
    sendEvent: {
      method: "POST",
      path: "/v1/matrix/event",
      summary: "Send any event; grant `matrix/send/<event type>`",
      query: txn,
      request: z.object({ room: z.string(), event_type: z.string(), content: object }),
    },
    react: {
      method: "POST",
      path: "/v1/matrix/reaction",
      summary: "React to an event; grant `matrix/send/m.reaction`",
      query: txn,
      request: z.object({ room: z.string(), event_id: z.string(), key: z.string() }),
    },
    redact: {
      method: "POST",
      path: "/v1/matrix/redact",
      summary: "Take an event back; grant `matrix/send/m.room.redaction`",
      query: txn,
      request: z.object({ room: z.string(), event_id: z.string(), reason }),
    },
    messages: {
      method: "GET",
      path: "/v1/matrix/messages",
      summary: "History of a room; grant `matrix/read`",
      query: { ...room, ...page, filter: "JSON" },
    },
    threads: {
      method: "GET",
      path: "/v1/matrix/threads",
      summary: "A room's threads; grant `matrix/read`",
      query: { ...room, from: "token", limit: "count", include: "`all` or `participated`" },
    },
    threadMessages: {
      method: "GET",
      path: "/v1/matrix/thread-messages",
      summary: "One thread's messages; grant `matrix/read`",
      query: { ...room, thread: "event id of its root", ...page },
    },
    relations: {
      method: "GET",
      path: "/v1/matrix/relations",
      summary: "Events that relate to one: edits, reactions, replies; grant `matrix/read`",
      query: { ...room, event: "event id", rel_type: "e.g. m.annotation", event_type: "", ...page },
    },
    context: {
      method: "GET",
      path: "/v1/matrix/context",
      summary: "What stands around an event; grant `matrix/read`",
      query: { ...room, event: "event id", limit: "count" },
    },
    roomEvent: {
      method: "GET",
      path: "/v1/matrix/room-event",
      summary: "One event; grant `matrix/read`",
      query: { ...room, event: "event id" },
    },
    members: {
      method: "GET",
      path: "/v1/matrix/room-members",
      summary: "Members; grant `matrix/read`",
      query: { ...room, membership: "join, invite, knock, leave or ban" },
    },
    roomState: {
      method: "GET",
      path: "/v1/matrix/room-state",
      summary: "Whole state of a room; grant `matrix/read`",
      query: room,
    },
    hierarchy: {
      method: "GET",
      path: "/v1/matrix/hierarchy",
      summary: "The rooms of a space; grant `matrix/read`",
      query: { ...room, from: "token", limit: "count", max_depth: "count" },
    },
    createRoom: {
      method: "POST",
      path: "/v1/matrix/room",
      summary:
        "Make a room; grant `matrix/create-room`, and one for each other thing it does: `matrix/invite`, `matrix/alias/<localpart>`, `matrix/state/<type>`, `matrix/publish-room`",
      request: z.object({
        name: z.optional(z.string()),
        topic: z.optional(z.string()),
        preset: z.optional(z.string()),
        visibility: z.optional(z.string()),
        room_version: z.optional(z.string()),
        room_alias_name: z.optional(z.string()),
        is_direct: z.optional(z.boolean()),
        invite: z.optional(z.array(z.string())),
        creation_content: z.optional(object),
        initial_state: z.optional(z.array(object)),
        power_level_content_override: z.optional(object),
      }),
    },
    join: {
      method: "POST",
      path: "/v1/matrix/join",
      summary: "Join a room; grant `matrix/join`",
      request: z.object({ room: z.string(), reason }),
    },
    leave: {
      method: "POST",
      path: "/v1/matrix/leave",
      summary: "Leave a room, or refuse its invitation; grant `matrix/leave`",
      request: z.object({ room: z.string(), reason }),
    },
    invite: {
      method: "POST",
      path: "/v1/matrix/invite",
      summary: "Invite a user; grant `matrix/invite`",
      request: about,
    },
    kick: {
      method: "POST",
      path: "/v1/matrix/kick",
      summary: "Put a user out; grant `matrix/kick`",
      request: about,
    },
    ban: {
      method: "POST",
      path: "/v1/matrix/ban",
      summary: "Ban a user; grant `matrix/ban`",
      request: about,
    },
    unban: {
      method: "POST",
      path: "/v1/matrix/unban",
      summary: "Lift a ban; grant `matrix/ban`",
      request: about,
    },
    profile: {
      method: "GET",
      path: "/v1/matrix/profile",
      summary: "Name and picture; grant `matrix/read`",
      query: { user: "user id, default one's own" },
    },
    getDisplayName: {
      method: "GET",
      path: "/v1/matrix/display-name",
      summary: "Name; grant `matrix/read`",
      query: { user: "user id, default one's own" },
    },
    setDisplayName: {
      method: "POST",
      path: "/v1/matrix/display-name",
      summary: "Change one's own name; grant `matrix/profile`",
      request: z.object({ display_name: z.string() }),
    },
    setAvatar: {
      method: "POST",
      path: "/v1/matrix/avatar",
      summary: "Change one's own picture; grant `matrix/profile`",
      request: z.object({ uri: z.string() }),
    },
    getPresence: {
      method: "GET",
      path: "/v1/matrix/presence",
      summary: "Presence; grant `matrix/read`",
      query: { user: "user id, default one's own" },
    },
    setPresence: {
      method: "POST",
      path: "/v1/matrix/presence",
      summary: "Change one's own presence; grant `matrix/send/m.presence`",
      request: z.object({ presence: z.string(), status_msg: z.optional(z.string()) }),
    },
    directory: {
      method: "GET",
      path: "/v1/matrix/directory",
      summary:
        "Public rooms; grant `matrix/directory`, whose targets (over `alias:server`) say which are shown beside one's own",
      query: { search: "text", since: "token", limit: "count", server: "another homeserver" },
    },
    createAlias: {
      method: "POST",
      path: "/v1/matrix/alias",
      summary: "Give a room an alias; grant `matrix/alias/<localpart>`",
      request: z.object({ alias: z.string(), room: z.string() }),
    },
    deleteAlias: {
      method: "DELETE",
      path: "/v1/matrix/alias",
      summary: "Take an alias away; grant `matrix/alias/<localpart>`",
      query: { alias: "`#…:server`" },
    },
    download: {
      method: "GET",
      path: "/v1/matrix/media",
      summary: "A file, at most 100 MiB; grant `matrix/read`",
      query: { uri: "`mxc://server/id`" },
    },
    upload: {
      method: "POST",
      path: "/v1/matrix/media",
      summary: "Upload the body as a file, at most 100 MiB; grant `matrix/upload`",
      query: { filename: "" },
    },
    mediaConfig: {
      method: "GET",
      path: "/v1/matrix/media-config",
      summary: "The homeserver's own limit; grant `matrix/read`",
    },
    sync: {
      method: "GET",
      path: "/v1/matrix/sync",
      summary: "Long poll; grant `matrix/read`",
      query: { since: "token", timeout: "ms", filter: "id or JSON" },
    },
    events: {
      method: "GET",
      path: "/v1/matrix/events",
      summary:
        "Events of one's rooms as they come, from `Last-Event-ID` on or from now; kinds `open`, `event`, `gap`, `invite`, `leave`, `position`, `reset`, `cut`; grant `matrix/read`",
      kind: "sse",
      query: {
        rooms: "ids or aliases, with commas between",
        types: "event types, with commas between, `*` for any text",
        own: "`false`: without what one sent oneself",
        since: "where there is no Last-Event-ID",
      },
    },
    http: {
      method: "GET",
      path: "/http/:service/*",
      summary:
        "Any method, streamed both ways to the service's upstream with its credentials; grant `http/<service>`",
    },
  },
});
