// SPDX-License-Identifier: Apache-2.0

/**
 * Tools of MCP servers. Loaded only where an agent has some: the SDK takes 9 MB.
 */
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { messageOf } from "../../lib/errors.ts";
import { fieldsOf, listOf, stringOf } from "../model/types.ts";
import type { Tool, ToolOutput } from "../tools/tool.ts";
import type { McpServer } from "./mcp_config.ts";
import { StdioTransport } from "./mcp_stdio.ts";

export interface McpTools extends AsyncDisposable {
  readonly tools: readonly Tool[];
  /** Servers that could not be had, and why: the agent goes on without them. */
  readonly missing: readonly { readonly server: string; readonly why: string }[];
}

export interface ConnectOptions {
  readonly workspace: string;
  readonly version: string;
  readonly timeoutMs?: number;
}

/** A tool may take this long; a server that tells of progress longer. */
const CALL_MS = 10 * 60_000;
const CONNECT_MS = 60_000;

export async function connectMcp(
  servers: readonly McpServer[],
  options: ConnectOptions,
): Promise<McpTools> {
  const clients: Client[] = [];
  const missing: { server: string; why: string }[] = [];
  const tools = await Promise.all(servers.map(async (server) => {
    const client = new Client({ name: "bureau", version: options.version });
    try {
      const timeout = options.timeoutMs ?? CONNECT_MS;
      await client.connect(transportOf(server, options), { timeout });
      clients.push(client);
      return await toolsOf(client, server.name, timeout);
    } catch (thrown) {
      await client.close().catch(() => {});
      missing.push({ server: server.name, why: messageOf(thrown) });
      return [];
    }
  }));
  return {
    tools: tools.flat(),
    missing,
    [Symbol.asyncDispose]: async () => {
      await Promise.allSettled(clients.map((client) => client.close()));
    },
  };
}

function transportOf(server: McpServer, { workspace }: ConnectOptions): Transport {
  if ("url" in server) {
    // The SDK's own transports don't satisfy its `Transport` under exactOptionalPropertyTypes.
    return new StreamableHTTPClientTransport(new URL(server.url), {
      requestInit: { headers: { ...server.headers } },
    }) as Transport;
  }
  return new StdioTransport({
    command: server.command,
    args: server.args,
    env: { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: workspace, ...server.env },
    cwd: workspace,
  });
}

async function toolsOf(client: Client, server: string, timeout: number): Promise<Tool[]> {
  const found: Tool[] = [];
  let cursor: string | undefined;
  do {
    const page = await client.listTools(cursor === undefined ? {} : { cursor }, { timeout });
    for (const { name, description = "", inputSchema, annotations } of page.tools) {
      found.push({
        name: toolName(server, name),
        description,
        schema: inputSchema,
        isReadOnly: annotations?.readOnlyHint === true,
        run: async (input, { signal }) => {
          const asked = { name, arguments: { ...input } };
          const how = {
            signal,
            timeout: CALL_MS,
            resetTimeoutOnProgress: true,
            onprogress: () => {},
          };
          return outputOf(await client.callTool(asked, undefined, how));
        },
      });
    }
    cursor = page.nextCursor;
  } while (cursor !== undefined && found.length < 1000);
  return found;
}

/** What every provider takes as a name: letters, digits, `_` and `-`, 64 at most. */
function toolName(server: string, tool: string): string {
  return `mcp__${server}__${tool}`.replace(/[^A-Za-z0-9_-]/g, "_").slice(0, 64);
}

function outputOf(result: unknown): ToolOutput {
  const { content, structuredContent, isError } = fieldsOf(result);
  const texts = listOf(content).map(fieldsOf).map((block) => {
    const { type, text, resource, uri, mimeType } = block;
    if (type === "text") return stringOf(text);
    if (type === "resource") {
      const { text, uri } = fieldsOf(resource);
      return stringOf(text) || `(a resource: ${stringOf(uri)})`;
    }
    if (type === "resource_link") return `(a resource: ${stringOf(uri)})`;
    return `(${stringOf(type)}, ${stringOf(mimeType) || "of an unknown kind"}: not shown)`;
  });
  const output = texts.join("\n") ||
    (structuredContent === undefined ? "" : JSON.stringify(structuredContent));
  return { output, is_error: isError === true };
}
