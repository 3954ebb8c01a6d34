// SPDX-License-Identifier: Apache-2.0
import { quoteName, RefError } from "./errors.ts";
import { isSegment, type Localpart, parseLocalpart, parseUserId } from "./names.ts";

export interface Entity {
  readonly localpart: Localpart;
  /** First segment, `bureau`. */
  readonly namespace: string;
  /** Localpart of the fleet, `bureau/fleet/dev`. */
  readonly fleet: Localpart;
  /** Last segment of the fleet, `dev`. */
  readonly fleetName: string;
  /** `machine`, `service`, `agent`, or another word. */
  readonly type: string;
  /** One or more segments, `scribe`. */
  readonly name: string;
  /** `<type>/<name>`: the name within its fleet, which is what people type. */
  readonly account: Localpart;
}

/**
 * Reads `<namespace>/fleet/<fleet>/<type>/<name…>`.
 * @throws {RefError} `bad-entity`
 */
export function parseEntity(localpart: string): Entity {
  const full = parseLocalpart(localpart);
  const [namespace, fleetWord, fleetName, type, ...name] = full.split("/");
  if (fleetWord !== "fleet" || type === undefined || name.length === 0) {
    throw new RefError(
      "bad-entity",
      `Cannot read ${quoteName(localpart)}: it must have the form namespace/fleet/name/type/name`,
    );
  }
  return {
    localpart: full,
    namespace: namespace!,
    fleet: `${namespace}/fleet/${fleetName}` as Localpart,
    fleetName: fleetName!,
    type,
    name: name.join("/"),
    account: `${type}/${name.join("/")}` as Localpart,
  };
}

/** @throws {RefError} `bad-fleet` unless `<namespace>/fleet/<name>` */
export function parseFleet(
  localpart: string,
): { localpart: Localpart; namespace: string; name: string } {
  const segments = localpart.split("/");
  const [namespace, word, name] = segments;
  if (segments.length !== 3 || word !== "fleet" || !isSegment(namespace!) || !isSegment(name!)) {
    throw new RefError(
      "bad-fleet",
      `Cannot read the fleet ${quoteName(localpart)}: it must have the form namespace/fleet/name`,
    );
  }
  return { localpart: parseLocalpart(localpart), namespace: namespace!, name: name! };
}

/**
 * The full localpart of `<type>/<name…>` in a fleet.
 * @throws {RefError} when either breaks its grammar or the whole passes 84 characters
 */
export function entityLocalpart(fleet: string, account: string): Localpart {
  const { localpart } = parseFleet(fleet);
  if (!parseLocalpart(account).includes("/")) {
    throw new RefError(
      "bad-entity",
      `Cannot read ${quoteName(account)}: it must have the form type/name`,
      { hint: `for an agent: agent/${account}` },
    );
  }
  return parseLocalpart(`${localpart}/${account}`);
}

/**
 * What a person may type for a principal: `agent/scribe`, the full localpart, or its user id.
 * @param server when given, a user id of another server is refused
 * @throws {RefError}
 */
export function resolvePrincipal(text: string, fleet: string, server?: string): Localpart {
  if (text.startsWith("@")) {
    const id = parseUserId(text);
    if (server !== undefined && id.server !== server) {
      throw new RefError(
        "bad-user-id",
        `Cannot use ${quoteName(text)}: it is not of server ${quoteName(server)}`,
      );
    }
    return parseEntity(id.localpart).localpart;
  }
  const segments = text.split("/");
  return segments[1] === "fleet" && segments.length >= 5
    ? parseEntity(text).localpart
    : entityLocalpart(fleet, text);
}

/**
 * Directory name of a principal below `<run>/p/`: the first 16 hex characters of SHA-256 over the full
 * localpart. Whoever makes the directory records the localpart beside it and refuses a second one.
 */
export async function principalHash(localpart: string): Promise<string> {
  const bytes = new TextEncoder().encode(parseLocalpart(localpart));
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex().slice(0, 16);
}
