// SPDX-License-Identifier: Apache-2.0

/** An MCP server of an operator's workers, in a sandbox of its own: `src/agent/parent/mcp`. */
import * as z from "zod/mini";
import { McpBootstrap, serveServer } from "../agent/parent/mcp/server.ts";
import { messageOf } from "../lib/errors.ts";
import { readBootstrap } from "../lib/provision/mod.ts";

const stop = Promise.withResolvers<void>();
Deno.addSignalListener("SIGTERM", () => stop.resolve());
try {
  const bootstrap = await readBootstrap((json) => z.parse(McpBootstrap, json));
  await using _served = await serveServer(bootstrap);
  await stop.promise;
} catch (thrown) {
  // For its parent, which shows it.
  console.error(messageOf(thrown));
  Deno.exit(1);
}
Deno.exit(0);
