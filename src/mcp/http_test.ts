// SPDX-License-Identifier: Apache-2.0

/** The official client over Streamable HTTP, and what gets no answer from it. */
import assert from "node:assert/strict";
// @ts-types="@modelcontextprotocol/sdk/client/streamableHttp"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { Client, eventually, grants, Scene, tool, withFront } from "./testing/scene.ts";

const TOKEN = "t".repeat(43);

async function connect(url: URL, token = TOKEN): Promise<Client> {
  const client = new Client({ name: "test", version: "1" }, { capabilities: {} });
  const headers = { authorization: `Bearer ${token}` };
  await client.connect(
    new StreamableHTTPClientTransport(url, { requestInit: { headers } }) as never,
  );
  return client;
}

Deno.test("clients over HTTP have sessions of their own, hear of changes, and cancel", async () => {
  let aborted = 0;
  let started = 0;
  await using scene = await Scene.start({
    tools: [
      tool({ name: "bureau_a" }),
      tool({
        name: "bureau_wait",
        call: (_, { signal }) =>
          new Promise((_, reject) => {
            started++;
            signal.addEventListener("abort", () => {
              aborted++;
              reject(signal.reason);
            });
          }),
      }),
    ],
  });
  await withFront(scene, { token: TOKEN }, async (url) => {
    const [one, two] = [await connect(url), await connect(url)];
    let heard = 0;
    one.fallbackNotificationHandler = () => Promise.resolve(void heard++);
    assert.equal((await one.listTools()).tools.length, 2);
    const answer = await two.callTool({ name: "bureau_a", arguments: {} });
    assert.deepEqual(answer.structuredContent, { by: "bureau_a" });
    const stop = new AbortController();
    const waiting = assert.rejects(
      one.callTool({ name: "bureau_wait", arguments: {} }, undefined, { signal: stop.signal }),
    );
    // On a connection of its own: it could come before what it is about.
    await eventually(() => started === 1);
    stop.abort();
    await waiting;
    await eventually(() => aborted === 1);
    await eventually(async () => {
      await scene.grant(grants("command/bureau_a"));
      await scene.grant(grants("**"));
      return heard > 0;
    });
    await one.close();
    await two.close();
  });
});

Deno.test("a page, a stranger and a client without a session get nothing", async () => {
  await using scene = await Scene.start({ tools: [tool({ name: "bureau_a" })] });
  await withFront(scene, { token: TOKEN }, async (url) => {
    const initialize = {
      jsonrpc: "2.0",
      id: 1,
      method: "initialize",
      params: {
        protocolVersion: "2025-06-18",
        capabilities: {},
        clientInfo: { name: "x", version: "1" },
      },
    };
    // By hand: fetch lets nobody choose a Host.
    const ask = async (
      { body = initialize, method = "POST", path = "/mcp", ...headers }: Record<string, unknown>,
    ) => {
      const text = JSON.stringify(body);
      const all = {
        host: url.host,
        authorization: `Bearer ${TOKEN}`,
        accept: "application/json, text/event-stream",
        "content-type": "application/json",
        "content-length": String(new TextEncoder().encode(text).length),
        connection: "close",
        ...headers,
      };
      const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join("");
      const conn = await Deno.connect({ hostname: "127.0.0.1", port: Number(url.port) });
      try {
        const request = `${method} ${path} HTTP/1.1\r\n${lines}\r\n${text}`;
        await conn.write(new TextEncoder().encode(request));
        const answer = new Uint8Array(65536);
        const count = await conn.read(answer) ?? 0;
        return Number(new TextDecoder().decode(answer.subarray(0, count)).split(" ")[1]);
      } finally {
        conn.close();
      }
    };
    assert.equal(await ask({}), 200, "control");
    assert.equal(await ask({ origin: `http://${url.host}` }), 200, "control: its own origin");
    assert.equal(await ask({ host: "evil.example:80" }), 403);
    assert.equal(await ask({ host: `evil.example:${url.port}` }), 403);
    assert.equal(await ask({ origin: "https://evil.example" }), 403);
    assert.equal(await ask({ origin: "null" }), 403);
    assert.equal(await ask({ authorization: "" }), 401);
    assert.equal(await ask({ authorization: `Bearer ${TOKEN.slice(1)}` }), 401);
    assert.equal(await ask({ authorization: `Bearer ${TOKEN.slice(1)}x` }), 401);
    assert.equal(await ask({ path: "/" }), 404);
    const list = { jsonrpc: "2.0", id: 1, method: "tools/list" };
    assert.equal(await ask({ body: list }), 400);
    assert.equal(await ask({ body: list, "mcp-session-id": crypto.randomUUID() }), 404);
    assert.equal(await ask({ method: "GET" }), 400);
    await assert.rejects(connect(url, "wrong"));
  });
});
