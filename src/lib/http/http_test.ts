// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import * as z from "zod/mini";
import { BureauError } from "../errors.ts";
import {
  createClient,
  createHandler,
  defineApi,
  HttpApiError,
  listenUnix,
  sseResponse,
} from "./mod.ts";

const api = defineApi({
  title: "test peer",
  version: "1",
  routes: {
    get: {
      method: "GET",
      path: "/v1/things/:thing",
      summary: "",
      response: z.object({ thing: z.string(), q: z.nullable(z.string()) }),
    },
    put: {
      method: "PUT",
      path: "/v1/things/:thing",
      summary: "",
      request: z.object({ n: z.number() }),
      response: z.object({ n: z.number() }),
    },
    boom: { method: "GET", path: "/v1/boom", summary: "" },
    crash: { method: "GET", path: "/v1/crash", summary: "" },
    events: { method: "GET", path: "/v1/events", summary: "", kind: "sse" },
    ws: { method: "GET", path: "/v1/ws", summary: "", kind: "websocket" },
  },
});

async function withServer(
  use: (client: ReturnType<typeof createClient<typeof api>>, socket: string) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  const socket = `${dir}/s.sock`;
  const handler = createHandler(api, {
    get: ({ params, query }) => ({ thing: params["thing"]!, q: query.get("q") }),
    put: ({ body }) => ({ n: body.n + 1 }),
    boom: () => {
      throw new BureauError("denied", 'Cannot boom "x": no', { status: 403, hint: "do not" });
    },
    crash: () => {
      throw new Error("kaputt");
    },
    events: () =>
      sseResponse((send) => {
        send({ n: 1 });
        send({ n: 2 });
        return () => {};
      }),
    ws: ({ request }) => {
      assert.equal(request.headers.get("authorization"), "Bearer t");
      const { socket, response } = Deno.upgradeWebSocket(request);
      socket.onmessage = (event) => socket.send(`echo ${event.data}`);
      return response;
    },
  });
  await Deno.writeTextFile(socket, "stale");
  const server = await listenUnix(socket, handler);
  const client = createClient(api, { socket, token: "t" });
  try {
    await use(client, socket);
  } finally {
    client.close();
    await server.shutdown();
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("createClient() round-trips params, query and body when names hold slashes", async () => {
  await withServer(async (client, socket) => {
    assert.deepEqual(await client.call("get", { params: { thing: "a/b c" }, query: { q: "é" } }), {
      thing: "a/b c",
      q: "é",
    });
    assert.deepEqual(await client.call("put", { params: { thing: "x" }, body: { n: 1 } }), {
      n: 2,
    });
    assert.equal((await Deno.stat(socket)).mode! & 0o777, 0o660);
  });
});

Deno.test("createClient() throws the server's code, message and hint", async () => {
  await withServer(async (client) => {
    await assert.rejects(client.call("boom"), (error: HttpApiError) => {
      assert.deepEqual([error.code, error.status, error.hint], ["denied", 403, "do not"]);
      return true;
    });
    await assert.rejects(client.call("crash"), { code: "internal", status: 500 });
    await assert.rejects(client.call("put", { params: { thing: "x" }, body: { n: "no" } }), {
      code: "bad-request",
      message: /n: /,
    });
  });
});

Deno.test("createClient() throws unreachable with a hint when nothing listens", async () => {
  const client = createClient(api, { socket: "/tmp/b-none/none.sock" });
  await assert.rejects(client.call("boom"), { code: "unreachable", hint: /deno task up/ });
  client.close();
});

Deno.test("createHandler() answers 404 and 405 as error bodies", async () => {
  const handler = createHandler(api, {} as never);
  const missing = await handler(new Request("http://x.invalid/nope"));
  assert.equal(missing.status, 404);
  await missing.body?.cancel();
  const method = await handler(new Request("http://x.invalid/v1/boom", { method: "POST" }));
  assert.equal(method.status, 405);
  assert.equal((await method.json()).error.code, "method-not-allowed");
});

Deno.test("createClient() streams events and speaks WebSocket", async () => {
  await withServer(async (client) => {
    const seen: unknown[] = [];
    for await (const event of client.events("events")) {
      seen.push(event);
      if (seen.length === 2) break;
    }
    assert.deepEqual(seen, [{ n: 1 }, { n: 2 }]);
    const ws = client.websocket("ws");
    const answer = await new Promise((resolve, reject) => {
      ws.onopen = () => ws.send("hi");
      ws.onmessage = (event) => resolve(event.data);
      ws.onerror = reject;
    });
    assert.equal(answer, "echo hi");
    const closed = new Promise((resolve) => ws.onclose = resolve);
    ws.close();
    await closed;
  });
});
