// SPDX-License-Identifier: Apache-2.0

/**
 * The page for browsers. Serves files that are part of it on one Unix socket; reads none, has no network, knows
 * nobody's name or secret. Who may see what is decided by the daemon in front of it.
 */
import * as z from "zod/mini";
import { listenUnix } from "../lib/http/mod.ts";
import { announceReady, failStart, readBootstrap } from "../lib/provision/mod.ts";
import { createPageHandler, embeddedPage, WebBootstrap, withMetrics } from "../web/mod.ts";

try {
  const { socket } = await readBootstrap((json) => z.parse(WebBootstrap, json));
  const server = await listenUnix(socket, withMetrics(await createPageHandler(embeddedPage())));
  Deno.addSignalListener("SIGTERM", () => Deno.exit(0));
  announceReady();
  await server.finished;
} catch (thrown) {
  failStart(thrown);
}
