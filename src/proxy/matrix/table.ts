// SPDX-License-Identifier: Apache-2.0

/**
 * Which endpoints of the Matrix Client-Server API (v1.15) a stock client may use through `proxy.sock`, and
 * the action that each needs. What does not stand here is refused, whatever the grants: among it all that
 * would hand out or end the account's session (tokens, passwords, other devices' logout), make the homeserver
 * call another host (URL previews, pushers, e-mail), or speak in another's name.
 *
 * A path is written as by a client of `v3`; `r0`, the same by its old name, is taken too. `{name}` is one
 * segment, checked by its name in `match.ts`.
 */

export type Check =
  /** Body of `createRoom`. */
  | "create-room"
  /** State, whose membership events need the membership's own action. */
  | "state"
  | "invite"
  /** Only `reason` goes on. */
  | "reason"
  /** `user_id` and `reason` go on. */
  | "member"
  /** Only the servers of the users in this field. */
  | { readonly users: string }
  | "alias";

export interface Endpoint {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  /** With the path's parameters in braces; null: anybody may. */
  readonly action: string | null;
  /** Parameters of the query that go on; others are dropped, the access token first of all. */
  readonly query?: readonly string[];
  readonly check?: Check;
  /** `upload` and `download` stream; the others are answered by the proxy itself. */
  readonly kind?:
    | "upload"
    | "download"
    | "login-flows"
    | "login"
    | "logout"
    | "well-known"
    | "public-rooms";
  /** Where it goes when not to its own path: legacy names of media. */
  readonly target?: string;
}

const C = "/_matrix/client/v3";
const C1 = "/_matrix/client/v1";
const PAGE = ["from", "to", "dir", "limit"];
const THUMB = ["width", "height", "method", "animated", "timeout_ms"];
const SYNC = ["since", "filter", "timeout", "full_state", "set_presence", "use_state_after"]
  .concat("org.matrix.msc4222.use_state_after");

type Row = readonly [
  method: Endpoint["method"],
  path: string,
  rest?: Omit<Endpoint, "method" | "path" | "action">,
];

const under = (action: string | null, rows: readonly Row[]): Endpoint[] =>
  rows.map(([method, path, rest]) => ({ method, path, action, ...rest }));

const room = `${C}/rooms/{room}`;
const room1 = `${C1}/rooms/{room}`;
const self = `${C}/user/{self}`;

export const ENDPOINTS: readonly Endpoint[] = [
  ...under(null, [
    ["GET", "/.well-known/matrix/client", { kind: "well-known" }],
    ["GET", "/_matrix/client/versions"],
    ["GET", `${C}/login`, { kind: "login-flows" }],
    ["POST", `${C}/login`, { kind: "login" }],
    ["POST", `${C}/logout`, { kind: "logout" }],
    ["GET", `${C}/capabilities`],
    ["GET", `${C}/account/whoami`],
    ["GET", `${C}/joined_rooms`],
    ["GET", `${C}/directory/room/{alias}`],
  ]),
  ...under("matrix/read", [
    ["GET", `${C}/sync`, { query: SYNC }],
    ["POST", `${self}/filter`],
    ["GET", `${self}/filter/{name}`],
    ["GET", `${C}/pushrules/`],
    ["GET", `${C}/pushrules/global/`],
    ["GET", `${C}/notifications`, { query: ["from", "limit", "only"] }],
    ["GET", `${self}/account_data/{type}`],
    ["GET", `${self}/rooms/{room}/account_data/{type}`],
    ["GET", `${self}/rooms/{room}/tags`],
    ["GET", `${room}/messages`, { query: [...PAGE, "filter"] }],
    ["GET", `${room}/state`],
    ["GET", `${room}/state/{type}`, { query: ["format"] }],
    ["GET", `${room}/state/{type}/{key}`, { query: ["format"] }],
    ["GET", `${room}/members`, { query: ["at", "membership", "not_membership"] }],
    ["GET", `${room}/joined_members`],
    ["GET", `${room}/aliases`],
    ["GET", `${room}/event/{event}`],
    ["GET", `${room}/context/{event}`, { query: ["limit", "filter"] }],
    ["GET", `${room1}/relations/{event}`, { query: [...PAGE, "recurse"] }],
    ["GET", `${room1}/relations/{event}/{type}`, { query: [...PAGE, "recurse"] }],
    ["GET", `${room1}/relations/{event}/{type}/{name}`, { query: [...PAGE, "recurse"] }],
    ["GET", `${room1}/threads`, { query: [...PAGE, "include"] }],
    ["GET", `${room1}/hierarchy`, { query: ["from", "limit", "max_depth", "suggested_only"] }],
    ["GET", `${room1}/timestamp_to_event`, { query: ["ts", "dir"] }],
    ["POST", `${C}/search`, { query: ["next_batch"] }],
    ["GET", `${C}/profile/{user}`],
    ["GET", `${C}/profile/{user}/{name}`],
    ["GET", `${C}/presence/{user}/status`],
    ["GET", `${C1}/media/config`],
    ["GET", `${C1}/media/download/{server}/{media}`, { kind: "download" }],
    ["GET", `${C1}/media/download/{server}/{media}/{name}`, { kind: "download" }],
    ["GET", `${C1}/media/thumbnail/{server}/{media}`, { kind: "download", query: THUMB }],
    ["GET", "/_matrix/media/v3/config", { target: `${C1}/media/config` }],
    ["GET", "/_matrix/media/v3/download/{server}/{media}", {
      kind: "download",
      target: `${C1}/media/download/{server}/{media}`,
    }],
    ["GET", "/_matrix/media/v3/download/{server}/{media}/{name}", {
      kind: "download",
      target: `${C1}/media/download/{server}/{media}/{name}`,
    }],
    ["GET", "/_matrix/media/v3/thumbnail/{server}/{media}", {
      kind: "download",
      query: THUMB,
      target: `${C1}/media/thumbnail/{server}/{media}`,
    }],
  ]),
  ...under("matrix/send/{type}", [["PUT", `${room}/send/{type}/{txn}`]]),
  ...under("matrix/send/m.room.redaction", [["PUT", `${room}/redact/{event}/{txn}`]]),
  ...under("matrix/send/m.typing", [["PUT", `${room}/typing/{self}`]]),
  ...under("matrix/send/m.receipt", [
    ["POST", `${room}/receipt/{type}/{event}`],
    ["POST", `${room}/read_markers`],
  ]),
  ...under("matrix/send/m.presence", [["PUT", `${C}/presence/{self}/status`]]),
  ...under("matrix/state/{type}", [
    ["PUT", `${room}/state/{type}`, { check: "state" }],
    ["PUT", `${room}/state/{type}/{key}`, { check: "state" }],
  ]),
  ...under("matrix/create-room", [["POST", `${C}/createRoom`, { check: "create-room" }]]),
  ...under("matrix/join", [
    ["POST", `${C}/join/{joined}`, { check: "reason", query: ["server_name", "via"] }],
    ["POST", `${room}/join`, { check: "reason" }],
    ["POST", `${C}/knock/{joined}`, { check: "reason", query: ["server_name", "via"] }],
  ]),
  ...under("matrix/leave", [
    ["POST", `${room}/leave`, { check: "reason" }],
    ["POST", `${room}/forget`, { check: "reason" }],
  ]),
  ...under("matrix/invite", [["POST", `${room}/invite`, { check: "invite" }]]),
  ...under("matrix/kick", [["POST", `${room}/kick`, { check: "member" }]]),
  ...under("matrix/ban", [
    ["POST", `${room}/ban`, { check: "member" }],
    ["POST", `${room}/unban`, { check: "member" }],
  ]),
  ...under("matrix/profile", [
    ["PUT", `${C}/profile/{self}/{name}`],
    ["DELETE", `${C}/profile/{self}/{name}`],
  ]),
  ...under("matrix/directory", [
    ["GET", `${C}/publicRooms`, { kind: "public-rooms", query: ["since", "limit", "server"] }],
    ["POST", `${C}/publicRooms`, { kind: "public-rooms", query: ["server"] }],
    ["GET", `${C}/directory/list/room/{room}`],
  ]),
  ...under("matrix/publish-room", [["PUT", `${C}/directory/list/room/{room}`]]),
  ...under("matrix/alias/{local}", [
    ["PUT", `${C}/directory/room/{alias}`, { check: "alias" }],
    ["DELETE", `${C}/directory/room/{alias}`, { check: "alias" }],
  ]),
  ...under("matrix/upload", [
    ["POST", "/_matrix/media/v3/upload", { kind: "upload", query: ["filename"] }],
    ["POST", "/_matrix/media/v1/create"],
    ["PUT", "/_matrix/media/v3/upload/{server}/{media}", { kind: "upload", query: ["filename"] }],
  ]),
  ...under("matrix/account-data", [
    ["PUT", `${self}/account_data/{type}`],
    ["PUT", `${self}/rooms/{room}/account_data/{type}`],
    ["PUT", `${self}/rooms/{room}/tags/{name}`],
    ["DELETE", `${self}/rooms/{room}/tags/{name}`],
  ]),
  // What only a client that encrypts needs, and what is the account's more than the agent's.
  ...under("matrix/raw-api", [
    ["PUT", `${C}/sendToDevice/{type}/{txn}`, { check: { users: "messages" } }],
    ["POST", `${C}/keys/upload`],
    ["POST", `${C}/keys/query`, { check: { users: "device_keys" } }],
    ["POST", `${C}/keys/claim`, { check: { users: "one_time_keys" } }],
    ["GET", `${C}/keys/changes`, { query: ["from", "to"] }],
    ["POST", `${C}/keys/signatures/upload`],
    ["POST", `${C}/keys/device_signing/upload`],
    ["GET", `${C}/room_keys/version`],
    ["POST", `${C}/room_keys/version`],
    ["GET", `${C}/room_keys/keys`, { query: ["version"] }],
    ["PUT", `${C}/room_keys/keys`, { query: ["version"] }],
    ["GET", `${C}/devices`],
    ["GET", `${C}/devices/{name}`],
    ["PUT", `${C}/devices/{name}`],
    ["POST", `${C}/user_directory/search`],
    ["POST", `${room}/report`],
    ["POST", `${room}/report/{event}`],
    ["PUT", `${C}/pushrules/global/{kind}/{rule}`, { query: ["before", "after"] }],
    ["DELETE", `${C}/pushrules/global/{kind}/{rule}`],
    ["PUT", `${C}/pushrules/global/{kind}/{rule}/{name}`],
    ["GET", `${C}/pushrules/global/{kind}/{rule}`],
  ]),
];
