// SPDX-License-Identifier: Apache-2.0

/**
 * Finds a request in the table. What goes to the homeserver is built anew from the row that matched and its
 * decoded, checked parameters: no spelling of the caller's path ever leaves this process.
 */
import { badRequest, ProxyError } from "../errors.ts";
import { checkSegment } from "../path.ts";
import { eventName, eventType, roomName, segment, serverName, userName } from "./parameters.ts";
import { type Endpoint, ENDPOINTS } from "./table.ts";

export interface Match {
  readonly endpoint: Endpoint;
  /** Decoded. */
  readonly parameters: ReadonlyMap<string, string>;
  /** The action it needs; null: none. */
  readonly action: string | null;
  /** Path for the homeserver, encoded. */
  readonly target: string;
}

interface Row {
  readonly endpoint: Endpoint;
  /** A name for a parameter, or the literal text. */
  readonly segments: readonly { readonly name: string | null; readonly literal: string }[];
}

/** By method and number of segments; made on first use, as most proxies never need it. */
let rows: Map<string, Row[]> | undefined;

/** @param path as received, before anything is decoded @throws {ProxyError} `not-in-table`, 403; `bad-request`, 400 */
export function matchEndpoint(method: string, path: string): Match {
  const current = path.replace(/^\/_matrix\/(client|media)\/r0\//, "/_matrix/$1/v3/");
  const segments = current.split("/");
  rows ??= indexRows();
  const row = rows.get(`${method} ${segments.length}`)?.find((candidate) =>
    candidate.segments.every(({ name, literal }, index) =>
      // A literal in another spelling (%2e, upper case, `;`) is another path, and in no row.
      name === null ? segments[index] === literal : name === "key" || segments[index] !== ""
    )
  );
  if (row === undefined) throw notInTable(method, path);
  const parameters = new Map<string, string>();
  for (const [index, { name }] of row.segments.entries()) {
    if (name !== null) parameters.set(name, read(name, segments[index]!));
  }
  const { endpoint } = row;
  const alias = parameters.get("alias");
  if (alias !== undefined) parameters.set("local", alias.slice(1, alias.indexOf(":")));
  const fill = (text: string, write: (value: string) => string) =>
    text.replace(/\{(\w+)\}/g, (_, name: string) => write(parameters.get(name)!));
  return {
    endpoint,
    parameters,
    action: endpoint.action === null ? null : fill(endpoint.action, (value) => value),
    target: fill(
      endpoint.target ?? endpoint.path,
      (value) => value === "" ? "" : segment(value, "path"),
    ),
  };
}

function indexRows(): Map<string, Row[]> {
  const index = new Map<string, Row[]>();
  for (const endpoint of ENDPOINTS) {
    const segments = endpoint.path.split("/").map((literal) => ({
      name: /^\{(\w+)\}$/.exec(literal)?.[1] ?? null,
      literal,
    }));
    const key = `${endpoint.method} ${segments.length}`;
    index.set(key, [...index.get(key) ?? [], { endpoint, segments }]);
  }
  return index;
}

function read(name: string, encoded: string): string {
  let value: string;
  try {
    value = decodeURIComponent(encoded);
  } catch {
    throw badRequest(`the path's {${name}} is malformed`);
  }
  // Not for our sake, but for a reverse proxy before the homeserver that decodes once more.
  if (value !== "") checkSegment(value);
  switch (name) {
    case "room":
    case "joined":
      roomName(value);
      if (name === "room" && !value.startsWith("!")) throw badRequest("the path needs a room id");
      return value;
    case "alias":
      if (!/^#[^:]+:./.test(roomName(value))) throw badRequest("the path needs a room alias");
      return value;
    case "user":
    case "self":
      return userName(value);
    case "event":
      return eventName(value);
    case "type":
      return eventType(value, "type");
    case "server":
      return serverName(value);
    case "media":
      if (!/^[A-Za-z0-9._~-]{1,255}$/.test(value)) throw badRequest("the path needs a media id");
      return value;
    default:
      return value;
  }
}

function notInTable(method: string, path: string): ProxyError {
  const shown = path.replace(/[^\x21-\x7e]/g, "?").slice(0, 120);
  return new ProxyError(
    "not-in-table",
    `Cannot ${method} "${shown}": this proxy passes on no such Matrix endpoint`,
    {
      status: 403,
      hint: "docs/reference/matrix-passthrough.md lists what it passes on; no grant adds to that",
    },
  );
}
