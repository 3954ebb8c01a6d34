// SPDX-License-Identifier: Apache-2.0

/**
 * Workers that a resident process on another machine holds: TLS to the one certificate that was named, a bearer token
 * inside it, and only then the spec.
 */
import { authorityOf, type Target } from "../../lib/authority.ts";
import { connectTls, onceClient, streamOf } from "../../lib/carrier/mod.ts";
import { lively } from "../../lib/carrier/lively.ts";
import { pinnedAt } from "../../lib/carrier/pin.ts";
import { systemClock } from "../../lib/clock.ts";
import { messageOf } from "../../lib/errors.ts";
import { UNIX_HOST } from "../../lib/http/client.ts";
import { opened } from "../parent/connection.ts";
import type { ProvisionInput } from "../provision/mod.ts";
import { RESIDENT_NAME } from "../resident/api.ts";
import { PlacedWorker, PlacementError, type PlaceOptions } from "./placed.ts";
import { PLACE_PATH } from "./unix.ts";

/** A resident pings twice as often. */
const QUIET_MS = 90_000;
const OPEN_MS = 10_000;

export interface Resident {
  readonly at: Target;
  /** `sha256:…` of its authority's certificate. */
  readonly pin: string;
  /** Secret. */
  readonly token: string;
  /** Path for a Unix socket, for as long as the connection takes to come: `WebSocket` knows no other way to it. */
  readonly socket: string;
}

/**
 * Nothing of the spec, and not the token, is said to anybody but who has the key of that certificate.
 * @throws {PinError} `wrong-pin`, `no-answer`; {PlacementError} `unauthorized`, and as `PlacedWorker.place`
 */
export async function placeAtResident(
  { at, pin, token, socket: path }: Resident,
  spec: ProvisionInput,
  options: Omit<PlaceOptions, "at" | "carrier"> = {},
): Promise<PlacedWorker> {
  const where = `wss://${authorityOf(at)}`;
  const address = { hostname: at.host, port: at.port };
  const pinned = await pinnedAt(address, pin, RESIDENT_NAME);
  const conn = await connectTls(address, pinned).catch((thrown) => {
    throw new PlacementError("no-answer", `Cannot reach ${where}: ${messageOf(thrown)}`, {
      status: 502,
    });
  });
  const once = onceClient(path, lively(streamOf(conn), QUIET_MS, options.clock ?? systemClock));
  const carrier = { [Symbol.dispose]: () => once.close() };
  const socket = new WebSocket(`ws://${UNIX_HOST}${PLACE_PATH}`, {
    client: once.client,
    headers: { authorization: `Bearer ${token}` },
  });
  try {
    await opened(socket, OPEN_MS);
  } catch (thrown) {
    carrier[Symbol.dispose]();
    throw refusal(where, messageOf(thrown));
  }
  return await PlacedWorker.place(socket, spec, {
    ...options,
    at: where,
    carrier,
    answers: true,
  });
}

function refusal(where: string, why: string): PlacementError {
  if (/\b401\b/.test(why)) {
    return new PlacementError(
      "unauthorized",
      `Cannot place a worker at ${where}: it does not know the token`,
      {
        hint:
          "its token is printed when it is made: `worker serve --new-token` there makes another",
        status: 401,
      },
    );
  }
  return new PlacementError("no-answer", `Cannot place a worker at ${where}: ${why}`, {
    status: 502,
  });
}
