// SPDX-License-Identifier: Apache-2.0

/**
 * The MCP server of an agent's sandbox: what its proxy does for it, as tools for the program that starts this. It has
 * the agent's rights and none besides: the proxy decides each call.
 *
 *   serve [--progressive]
 */
import { systemClock } from "../../src/lib/clock.ts";
import { createProxyClient } from "../../src/lib/proxyclient/mod.ts";
import { VERSION } from "../../src/lib/version.ts";
import { proxyCatalog, proxyResources } from "../../src/agent/mcp/mod.ts";
import * as sdk from "../../src/mcp/sdk.ts";
import { createMcpServer } from "../../src/mcp/server.ts";
import { serveStdio } from "../../src/mcp/stdio.ts";

/** How soon a client hears of a right that came or went; a call asks by itself. */
const RIGHTS_MS = 10_000;

const INSTRUCTIONS =
  "You are an agent in a sandbox of Bureau. These tools are what your proxy does for you, and only what you are granted is here: " +
  "who you are, your rooms, their messages, what people see of you, leave for what you were told to ask about, and services that your proxy has keys for. " +
  "What is missing here an operator can grant.";

const unknown = Deno.args.filter((argument) => argument !== "--progressive");
if (unknown.length > 0) {
  console.error(`error: Cannot use "${unknown[0]}": serve takes --progressive and nothing else`);
  Deno.exit(2);
}

const stop = new AbortController();
for (const name of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
  Deno.addSignalListener(name, () => stop.abort());
}
const { signal } = stop;
const proxy = createProxyClient();
const catalog = proxyCatalog(proxy, { everyMs: RIGHTS_MS, signal });
void catalog.rights.follow();
const server = createMcpServer(sdk, {
  catalog,
  resources: proxyResources(proxy),
  version: VERSION,
  progressive: Deno.args.includes("--progressive"),
  instructions: INSTRUCTIONS,
  clock: systemClock,
});
await serveStdio(sdk, server, signal);
Deno.exit(0);
