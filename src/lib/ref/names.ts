// SPDX-License-Identifier: Apache-2.0
import { quoteName, RefError } from "./errors.ts";

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** `bureau/fleet/dev/agent/scribe`: what stands between `@` and `:`. At most 84 characters. */
export type Localpart = Branded<"Localpart">;
/** `bureau.local`, perhaps with a port. */
export type ServerName = Branded<"ServerName">;
/** `@localpart:server`. */
export type UserId = Branded<"UserId">;
/** `#localpart:server`. */
export type RoomAlias = Branded<"RoomAlias">;
/** `!opaque:server`, or `!opaque` since room version 12. */
export type RoomId = Branded<"RoomId">;
/** `localpart:server`, the state key of an event about a principal. */
export type StateKey = Branded<"StateKey">;

/** Longest localpart in characters, which are all one byte. */
export const MAX_LOCALPART = 84;
/** Longest user id or alias in bytes, Matrix's own limit. */
const MAX_ID = 255;

const LOCALPART = /^[a-z0-9_=-][a-z0-9._=-]*(?:\/[a-z0-9_=-][a-z0-9._=-]*)*$/;
const SEGMENT = /^[a-z0-9_=-][a-z0-9._=-]*$/;
// Matrix's own alphabet for host names, IPv4, IPv6 and ports: no blanks, no sigils, nothing that a path,
// a shell or a glob reads as its own.
const SERVER = /^[A-Za-z0-9.:[\]-]+$/;

/**
 * Checks `a-z 0-9 . _ = - /`, no empty segment, no segment that begins with a dot (so no `.` or `..`),
 * at most 84 characters. A localpart may therefore be used as a relative path as it stands.
 * @throws {RefError} `bad-localpart`
 */
export function parseLocalpart(text: string): Localpart {
  if (isLocalpart(text)) return text;
  throw new RefError("bad-localpart", `Cannot read the name ${quoteName(text)}: ${whyNot(text)}`, {
    hint: "use lower-case letters, digits and . _ = - in segments separated by /",
  });
}

export function isLocalpart(text: string): text is Localpart {
  return text.length <= MAX_LOCALPART && LOCALPART.test(text);
}

/** True for one segment of a localpart: a namespace, a fleet name, a template's name. */
export function isSegment(text: string): boolean {
  return text.length <= MAX_LOCALPART && SEGMENT.test(text);
}

function whyNot(text: string): string {
  if (text === "") return "it is empty";
  if (text.length > MAX_LOCALPART) return `it is longer than ${MAX_LOCALPART} characters`;
  if (/[^a-z0-9._=/-]/.test(text)) return "it holds a character outside a-z 0-9 . _ = - /";
  if (/^\/|\/$|\/\//.test(text)) return "it has an empty segment";
  return "a segment begins with a dot";
}

/** @throws {RefError} `bad-server-name` */
export function parseServerName(text: string): ServerName {
  if (SERVER.test(text) && text.length <= MAX_ID - 2) return text as ServerName;
  throw new RefError(
    "bad-server-name",
    `Cannot read the server name ${quoteName(text)}: it must be a host name, perhaps with a port`,
  );
}

export interface ParsedUserId {
  readonly userId: UserId;
  readonly localpart: Localpart;
  readonly server: ServerName;
}

/**
 * Reads `@localpart:server`, split at the first colon. Only names of Bureau's grammar: another
 * homeserver's user with, say, capital letters is refused.
 * @throws {RefError} `bad-user-id` and the codes of its parts
 */
export function parseUserId(text: string): ParsedUserId {
  const [localpart, server] = splitSigil("@", text, "bad-user-id", "user id");
  return { userId: text as UserId, localpart, server };
}

/** @throws {RefError} when the two together pass Matrix's 255 bytes, or either breaks its grammar */
export function userId(localpart: string, server: string): UserId {
  return `@${joined(localpart, server)}` as UserId;
}

/** Rule `@` → `#`: an entity's room alias has the entity's localpart. */
export function roomAlias(localpart: string, server: string): RoomAlias {
  return `#${joined(localpart, server)}` as RoomAlias;
}

/** @throws {RefError} `bad-room-alias` */
export function parseRoomAlias(
  text: string,
): { alias: RoomAlias; localpart: Localpart; server: ServerName } {
  const [localpart, server] = splitSigil("#", text, "bad-room-alias", "room alias");
  return { alias: text as RoomAlias, localpart, server };
}

/** @throws {RefError} `bad-room-id` */
export function parseRoomId(text: string): RoomId {
  // deno-lint-ignore no-control-regex -- a control character in an id is exactly what is refused
  if (/^![^\s\x00-\x1f\x7f]+$/.test(text) && text.length <= MAX_ID) return text as RoomId;
  throw new RefError("bad-room-id", `Cannot read the room id ${quoteName(text)}: it must begin !`);
}

/**
 * The state key of events about a principal: its user id without `@`. Matrix's own rule for state keys
 * that begin with `@` is so not used; readers check the sender (W-4).
 * @param subject a user id, or a localpart when `server` is given
 */
export function stateKey(subject: string, server?: string): StateKey {
  if (subject.startsWith("@")) {
    const parsed = parseUserId(subject);
    if (server !== undefined && server !== parsed.server) {
      throw new RefError(
        "bad-state-key",
        `Cannot make a state key of ${quoteName(subject)}: it is not of server ${
          quoteName(server)
        }`,
      );
    }
    return subject.slice(1) as StateKey;
  }
  if (server === undefined) {
    throw new RefError(
      "bad-state-key",
      `Cannot make a state key of ${quoteName(subject)}: its server is missing`,
    );
  }
  return joined(subject, server) as StateKey;
}

/** @throws {RefError} when `text` is not `localpart:server`; a bare localpart is refused (W-31) */
export function parseStateKey(text: string): ParsedUserId {
  return parseUserId(`@${text}`);
}

function joined(localpart: string, server: string): string {
  const text = `${parseLocalpart(localpart)}:${parseServerName(server)}`;
  if (text.length + 1 > MAX_ID) {
    throw new RefError(
      "too-long",
      `Cannot name ${quoteName(text)}: a Matrix id holds at most ${MAX_ID} bytes`,
    );
  }
  return text;
}

function splitSigil(
  sigil: string,
  text: string,
  code: string,
  what: string,
): [Localpart, ServerName] {
  const colon = text.indexOf(":");
  if (!text.startsWith(sigil) || colon < 0 || text.length > MAX_ID) {
    throw new RefError(
      code,
      `Cannot read the ${what} ${quoteName(text)}: it must have the form ${sigil}localpart:server`,
    );
  }
  return [parseLocalpart(text.slice(1, colon)), parseServerName(text.slice(colon + 1))];
}
