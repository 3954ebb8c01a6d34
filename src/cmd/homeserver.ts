// SPDX-License-Identifier: Apache-2.0

/** The embedded Matrix homeserver. May: listen on one address; read and write one directory. */
import * as z from "zod/mini";
import { HomeserverBootstrap } from "../homeserver/api.ts";
import { startHomeserver } from "../homeserver/server.ts";
import { announceReady, failStart, readBootstrap } from "../lib/provision/mod.ts";

try {
  const bootstrap = await readBootstrap((json) => z.parse(HomeserverBootstrap, json));
  const server = startHomeserver(bootstrap);
  Deno.addSignalListener("SIGTERM", () => void server.close().finally(() => Deno.exit(0)));
  announceReady({ url: server.url });
} catch (error) {
  failStart(error);
}
