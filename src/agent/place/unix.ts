// SPDX-License-Identifier: Apache-2.0

/** Workers that another process on this machine holds, behind a Unix socket. */
import { UNIX_HOST, unixClient } from "../parent/connection.ts";
import type { ProvisionInput } from "../provision/mod.ts";
import { PlacedWorker, type PlaceOptions } from "./placed.ts";

/** @throws as `PlacedWorker.place` */
export function placeAtSocket(
  path: string,
  spec: ProvisionInput,
  options: Omit<PlaceOptions, "at" | "carrier"> = {},
): Promise<PlacedWorker> {
  const client = unixClient(path);
  const socket = new WebSocket(`ws://${UNIX_HOST}${PLACE_PATH}`, { client: client.http });
  return PlacedWorker.place(socket, spec, { ...options, at: path, carrier: client });
}

/** Where a host of workers takes them. */
export const PLACE_PATH = "/v1/place";
