// SPDX-License-Identifier: Apache-2.0

/** MCP servers of the official SDK: over stdio, over HTTP, and none. */
import assert from "node:assert/strict";
import { WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import { createServer } from "../testing/mcp/server.ts";
import type { ToolOutput } from "../tools/mod.ts";
import { connectMcp, type McpTools } from "./mcp.ts";
import { mcpServersOf } from "./mcp_config.ts";

const never = new AbortController().signal;
const ROOT = new URL("../../..", import.meta.url).pathname.replace(/\/$/, "");

function call(
  { tools }: McpTools,
  name: string,
  input: Record<string, unknown> = {},
  signal = never,
): Promise<ToolOutput> {
  return tools.find((tool) => tool.name === name)!.run(input, { workspace: ROOT, signal });
}

async function speaksAll(mcp: McpTools, server: string): Promise<void> {
  assert.deepEqual(mcp.missing, []);
  assert.deepEqual(mcp.tools.map(({ name, isReadOnly }) => [name, isReadOnly]), [
    [`mcp__${server}__echo`, true],
    [`mcp__${server}__fail`, false],
    [`mcp__${server}__wait`, false],
  ]);
  assert.deepEqual(await call(mcp, `mcp__${server}__echo`, { text: "hello" }), {
    output: "echo: hello",
    is_error: false,
  });
  const failed = await call(mcp, `mcp__${server}__fail`);
  assert.deepEqual(failed, { output: "it failed", is_error: true });
}

Deno.test("an MCP server over stdio: its tools, and its end", async () => {
  const servers = mcpServersOf({
    mcpServers: {
      local: {
        command: Deno.execPath(),
        args: [
          "run",
          "-A",
          "-q",
          "--config",
          `${ROOT}/deno.json`,
          `${ROOT}/src/agent/testing/mcp/server.ts`,
        ],
        env: { HOME: Deno.env.get("HOME")!, DENO_DIR: Deno.env.get("DENO_DIR") ?? "" },
      },
      off: { command: "nothing", disabled: true },
      none: { command: "/bin/false" },
    },
  });
  assert.deepEqual(servers.map(({ name }) => name), ["local", "none"]);
  await using mcp = await connectMcp(servers, { workspace: ROOT, version: "1" });
  assert.deepEqual(mcp.missing.map(({ server }) => server), ["none"]);
  await speaksAll({ ...mcp, missing: [] }, "local");
});

Deno.test("an MCP server over HTTP: headers, a call that is cancelled", async () => {
  const cancelled = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const seen: Headers[] = [];
  const transport = new WebStandardStreamableHTTPServerTransport({
    sessionIdGenerator: () => crypto.randomUUID(),
  });
  const server = createServer(() => cancelled.resolve());
  await server.connect(transport as Parameters<typeof server.connect>[0]);
  const http = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      seen.push(request.headers);
      const isCall = request.method === "POST" && (await request.clone().text()).includes("wait");
      const answer = await transport.handleRequest(request);
      if (isCall) begun.resolve();
      return answer;
    },
  );
  try {
    const url = `http://127.0.0.1:${http.addr.port}/mcp`;
    const servers = mcpServersOf([{ name: "far", url, headers: { "x-test": "yes" } }]);
    await using mcp = await connectMcp(servers, { workspace: "/", version: "1" });
    await speaksAll(mcp, "far");
    assert.ok(seen.every((headers) => headers.get("x-test") === "yes"));
    const stop = new AbortController();
    const waiting = assert.rejects(call(mcp, "mcp__far__wait", {}, stop.signal));
    await begun.promise;
    stop.abort();
    await waiting;
    await cancelled.promise;
  } finally {
    await server.close();
    await http.shutdown();
  }
});

Deno.test("a server that nobody can have used is refused by name, without its values", () => {
  for (
    const [config, why] of [
      ["x", /they are no object/],
      [{ "a b": { command: "x" } }, /"a b": that is no name/],
      [{ a: {} }, /"a": it has neither command nor url/],
      [{ a: { url: "file:///etc" } }, /its url is none of http or https/],
      [
        { a: { url: "http://x", headers: { authorization: ["secret"] } } },
        /"authorization" is no text/,
      ],
      [{ a: { command: "x", args: [1] } }, /its args are no texts/],
    ] as const
  ) {
    assert.throws(() => mcpServersOf(config), (error: Error) => {
      assert.match(error.message, why);
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
  }
});
