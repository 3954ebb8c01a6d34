// SPDX-License-Identifier: Apache-2.0

/** An MCP server by the official SDK, for tests of clients: run by itself it speaks stdio. */
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { CallToolRequestSchema, ListToolsRequestSchema } from "@modelcontextprotocol/sdk/types.js";

const schema = { type: "object" as const, properties: { text: { type: "string" } } };

// The SDK's types of them are lost on the way through npm.
interface Asked {
  readonly params?: { readonly cursor?: string };
}
interface Called {
  readonly params: { readonly name: string; readonly arguments?: Record<string, unknown> };
}
interface Context {
  readonly signal: AbortSignal;
}

/** Two pages of tools: `echo`; `fail` and `wait`, which ends when it is cancelled. */
export function createServer(onCancelled: () => void = () => {}): Server {
  const server = new Server({ name: "mock", version: "1" }, { capabilities: { tools: {} } });
  server.setRequestHandler(
    ListToolsRequestSchema,
    ({ params }: Asked) =>
      params?.cursor === undefined
        ? {
          tools: [{
            name: "echo",
            description: "Says it again",
            inputSchema: schema,
            annotations: { readOnlyHint: true },
          }],
          nextCursor: "2",
        }
        : {
          tools: [
            { name: "fail", description: "Fails", inputSchema: schema },
            { name: "wait", description: "Waits", inputSchema: schema },
          ],
        },
  );
  server.setRequestHandler(
    CallToolRequestSchema,
    async ({ params }: Called, { signal }: Context) => {
      if (params.name === "echo") {
        return { content: [{ type: "text", text: `echo: ${params.arguments?.["text"]}` }] };
      }
      if (params.name === "wait") {
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
        onCancelled();
      }
      return { content: [{ type: "text", text: "it failed" }], isError: true };
    },
  );
  return server;
}

if (import.meta.main) await createServer().connect(new StdioServerTransport());
