// SPDX-License-Identifier: Apache-2.0

/** What an agent names in a Matrix call, checked before it becomes part of a path. */
import { badRequest } from "../errors.ts";

/** Narrower than Matrix itself: a type is part of an action's name, and of a path. */
const EVENT_TYPE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/;
const SERVER = /^(?:[A-Za-z0-9.-]{1,230}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?$/;
/** A state event, as its sender formats it, may have 64 KiB. */
const MAX_SEGMENT = 512;

export type JsonObject = Record<string, unknown>;

export function roomName(given: unknown): string {
  // deno-lint-ignore no-control-regex -- control characters are what is refused
  if (typeof given !== "string" || !/^[!#][^\x00-\x20\x7f]{1,254}$/.test(given)) {
    throw badRequest("`room` must be a room id or alias");
  }
  return given;
}

/** `@localpart:server`. */
export function userName(given: unknown, field = "user"): string {
  // deno-lint-ignore no-control-regex -- control characters are what is refused
  if (typeof given !== "string" || !/^@[^\x00-\x20\x7f:]{0,254}:[^\x00-\x20\x7f]+$/.test(given)) {
    throw badRequest(`\`${field}\` must be a user id such as @name:server`);
  }
  return given;
}

export function eventName(given: unknown, field = "event_id"): string {
  // deno-lint-ignore no-control-regex -- control characters are what is refused
  if (typeof given !== "string" || !/^\$[^\x00-\x20\x7f]{1,254}$/.test(given)) {
    throw badRequest(`\`${field}\` must be an event id`);
  }
  return given;
}

export function eventType(given: unknown, field: string): string {
  if (typeof given !== "string" || !EVENT_TYPE.test(given)) {
    throw badRequest(`\`${field}\` must be an event type such as m.room.message`);
  }
  return given;
}

export function serverName(given: unknown, field = "server"): string {
  if (typeof given !== "string" || !SERVER.test(given)) {
    throw badRequest(`\`${field}\` must be a server name`);
  }
  return given;
}

/** The server in `@user:server`, `#alias:server` or `!room:server`; null where there is none. */
export function serverOf(id: string): string | null {
  const colon = id.indexOf(":");
  return colon === -1 ? null : serverName(id.slice(colon + 1), "server name");
}

/** `mxc://server/id` in its two parts. */
export function contentUri(given: unknown): { server: string; id: string } {
  const match = /^mxc:\/\/([^/]+)\/([A-Za-z0-9._~-]{1,255})$/.exec(
    typeof given === "string" ? given : "",
  );
  if (match === null) throw badRequest("`uri` must be a content uri such as mxc://server/id");
  return { server: serverName(match[1], "uri"), id: match[2]! };
}

export function stateKey(given: unknown): string {
  if (given === null || given === undefined || given === "") return "";
  return segment(given, "state key");
}

/** One percent-encoded path segment; dots alone would be a way up, whatever their encoding. */
export function segment(given: unknown, field: string): string {
  if (
    typeof given !== "string" || given === "" || given === "." || given === ".." ||
    given.length > MAX_SEGMENT || !given.isWellFormed()
  ) {
    throw badRequest(`\`${field}\` is empty, too long or not allowed`);
  }
  return encodeURIComponent(given);
}

export function contentOf(body: JsonObject): JsonObject {
  const content = body["content"];
  if (!isObject(content)) throw badRequest("`content` must be an object");
  return content;
}

export function text(given: unknown, field: string, most = 1024): string {
  if (typeof given !== "string" || given.length > most || !given.isWellFormed()) {
    throw badRequest(`\`${field}\` must be a text of at most ${most} characters`);
  }
  return given;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function copy(from: URLSearchParams, to: URLSearchParams, name: string): void {
  const value = from.get(name);
  if (value !== null) to.set(name, value);
}

export function copyNumber(from: URLSearchParams, to: URLSearchParams, name: string): void {
  const value = from.get(name);
  if (value === null) return;
  if (!/^\d{1,9}$/.test(value)) throw badRequest(`\`${name}\` must be a number`);
  to.set(name, value);
}

/** For a path: empty, or with its question mark. */
export function asQuery(parameters: URLSearchParams): string {
  return parameters.size === 0 ? "" : `?${parameters}`;
}
