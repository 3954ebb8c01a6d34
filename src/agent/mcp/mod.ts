// SPDX-License-Identifier: Apache-2.0

/** What an agent's proxy does for it, as MCP tools and resources: README.md. */
import { type Clock, systemClock } from "../../lib/clock.ts";
import type { ProxyClient } from "../../lib/proxyclient/mod.ts";
import { Catalog } from "../../mcp/catalog.ts";
import { type ReadPolicy, Rights } from "../../mcp/rights.ts";
import type { Tool } from "../../mcp/tool.ts";
import { messageTools } from "./messages.ts";
import { roomTools } from "./rooms.ts";
import { selfTools } from "./self.ts";
import { serviceTool } from "./services.ts";

export { proxyResources } from "./resources.ts";

export interface ProxyCatalogOptions {
  /** How often it looks what the agent may; each call looks by itself. */
  readonly everyMs: number;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
}

/** The tools that the proxy lets its agent have, as it says at each look; services come and go with their grants. */
export function proxyCatalog(
  proxy: ProxyClient,
  { everyMs, signal, clock = systemClock }: ProxyCatalogOptions,
): Catalog {
  const fixed = [...selfTools(proxy, clock), ...roomTools(proxy), ...messageTools(proxy)];
  let tools: readonly Tool[] = fixed;
  const read: ReadPolicy = async (signal) => {
    const [policy, services] = await Promise.all([proxy.grants(signal), proxy.services(signal)]);
    tools = [...fixed, ...services.map((service) => serviceTool(proxy, service))];
    return policy;
  };
  const rights = new Rights({ read, clock, everyMs, signal });
  return new Catalog(() => tools, rights);
}
