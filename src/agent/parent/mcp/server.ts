// SPDX-License-Identifier: Apache-2.0

/**
 * One MCP server in a sandbox of its own, as an agent at its parent's broker: a program that it starts, or an address that
 * it reaches. Process `mcp`.
 */
import * as z from "zod/mini";
import { BureauError } from "../../../lib/errors.ts";
import { VERSION } from "../../../lib/version.ts";
import { serveMcp } from "../../mailbox/mod.ts";
import { connectMcp } from "../../native/mcp.ts";
import { mcpServersOf } from "../../native/mcp_config.ts";

/** Of its sandbox; empty. */
const WORKSPACE = "/workspace";

/** On its standard input, once. */
export const McpBootstrap = z.object({
  version: z.literal(1),
  /** Of the broker. */
  socket: z.string(),
  /** Whom it is there. */
  agent: z.string(),
  /** Secret. */
  token: z.string(),
  /** `{"mcpServers": {…}}` with one server. Its headers and variables may be secrets. */
  config: z.record(z.string(), z.json()),
});
export type McpBootstrap = z.infer<typeof McpBootstrap>;

/** Serves until it is disposed of. @throws {BureauError} `mcp-server` when the server can't be had */
export async function serveServer(
  { socket, agent, token, config }: McpBootstrap,
): Promise<AsyncDisposable> {
  const servers = mcpServersOf(config);
  const connected = await connectMcp(servers, { workspace: WORKSPACE, version: VERSION });
  const [missing] = connected.missing;
  if (missing !== undefined) {
    await connected[Symbol.asyncDispose]();
    throw new BureauError("mcp-server", `it can't be had: ${missing.why}`);
  }
  const tools = new Map(connected.tools.map((tool) => [tool.name, tool]));
  const offered = connected.tools.map(({ name, description, schema }) => ({
    name,
    description,
    inputSchema: { ...schema },
  }));
  const mail = await serveMcp({
    socket,
    agent,
    token,
    toolsFor: () => offered,
    call: async ({ tool, input }, signal) => {
      const context = { workspace: WORKSPACE, signal };
      const { output, is_error } = await tools.get(tool)!.run(input, context);
      return { success: is_error !== true, result: output };
    },
  });
  return {
    [Symbol.asyncDispose]: async () => {
      await mail[Symbol.asyncDispose]();
      await connected[Symbol.asyncDispose]();
    },
  };
}
