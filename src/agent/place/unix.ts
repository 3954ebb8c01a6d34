// SPDX-License-Identifier: Apache-2.0

/** Workers that another process on this machine holds, behind a Unix socket. */
import { UNIX_HOST } from "../../lib/http/client.ts";
import { unixClient } from "../parent/connection.ts";
import type { ProvisionInput } from "../provision/mod.ts";
import { PlacedWorker, type PlaceOptions } from "./placed.ts";

interface SocketOptions extends Omit<PlaceOptions, "at" | "carrier"> {
  /** Ends the asking; a worker that is placed is ended by its own. */
  readonly signal?: AbortSignal;
  /** What the host knows its caller by, besides the socket. */
  readonly token?: string;
}

/** @throws as `PlacedWorker.place` */
export async function placeAtSocket(
  path: string,
  spec: ProvisionInput,
  { signal, token, ...options }: SocketOptions = {},
): Promise<PlacedWorker> {
  signal?.throwIfAborted();
  const client = unixClient(path);
  const socket = new WebSocket(`ws://${UNIX_HOST}${PLACE_PATH}`, {
    client: client.http,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  });
  const close = () => socket.close();
  signal?.addEventListener("abort", close, { once: true });
  try {
    return await PlacedWorker.place(socket, spec, { ...options, at: path, carrier: client });
  } finally {
    signal?.removeEventListener("abort", close);
  }
}

/** Where a host of workers takes them. */
export const PLACE_PATH = "/v1/place";
