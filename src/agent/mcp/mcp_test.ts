// SPDX-License-Identifier: Apache-2.0

/** An agent's MCP server against a real proxy and homeserver: it has what the proxy gives, and nothing else. */
import assert from "node:assert/strict";
// @ts-types="@modelcontextprotocol/sdk/client/index"
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
// @ts-types="@modelcontextprotocol/sdk/inMemory"
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js";
import { Server, type User } from "../../homeserver/_process.ts";
import { systemClock } from "../../lib/clock.ts";
import { createProxyClient, type ProxyClient } from "../../lib/proxyclient/mod.ts";
import { loadSdk } from "../../mcp/load.ts";
import { createMcpServer } from "../../mcp/server.ts";
import { type Answer, eventually, failureIn } from "../../mcp/testing/scene.ts";
import { type Harness, withProxy } from "../../proxy/testing/harness.ts";
import { proxyCatalog, proxyResources } from "./mod.ts";

const EVERYTHING = { grants: [{ actions: ["**"] }], denials: [] };

/** The official client in front of a proxy's tools. */
class Session implements AsyncDisposable {
  readonly heard: string[] = [];
  readonly client = new Client({ name: "test", version: "1" });
  readonly #stop = new AbortController();

  static async open(proxy: ProxyClient, progressive = false): Promise<Session> {
    const session = new Session();
    session.client.fallbackNotificationHandler = ({ method, params }) => {
      session.heard.push(method + (params?.["uri"] === undefined ? "" : ` ${params["uri"]}`));
      return Promise.resolve();
    };
    const { signal } = session.#stop;
    const catalog = proxyCatalog(proxy, { everyMs: 200, signal });
    void catalog.rights.follow();
    const server = createMcpServer(await loadSdk(), {
      catalog,
      resources: proxyResources(proxy),
      version: "1",
      progressive,
      instructions: "",
      clock: systemClock,
    });
    const [ours, theirs] = InMemoryTransport.createLinkedPair();
    await Promise.all([server.connect(ours), session.client.connect(theirs)]);
    return session;
  }

  async names(): Promise<string[]> {
    return (await this.client.listTools()).tools.map(({ name }) => name);
  }

  /** The client holds each result against the schema that the tool was listed with. */
  async call(name: string, args: Record<string, unknown> = {}): Promise<Answer> {
    return await this.client.callTool({ name, arguments: args }) as unknown as Answer;
  }

  async given(name: string, args: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    const { structuredContent, isError, content } = await this.call(name, args);
    assert.notEqual(isError, true, `${name}: ${content[0]!.text}`);
    return structuredContent!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.client.close();
  }
}

interface Rig {
  readonly proxy: ProxyClient;
  readonly harness: Harness;
  readonly ada: User;
  /** Ada's, the agent is in it, and it is the agent's own. */
  readonly room: string;
  /** The agent is invited. */
  readonly other: string;
  /** Paths that the service was asked for, and those that were given up. */
  readonly asked: string[];
  readonly gone: string[];
  grant(...actions: string[]): Promise<void>;
}

async function withRig(use: (rig: Rig) => Promise<void>): Promise<void> {
  await using server = await Server.start();
  const [agent, ada] = [await server.register("agent"), await server.register("ada")];
  const invite = [agent.id];
  const room = (await ada.call("POST", "createRoom", { invite, name: "Work" })).body.room_id;
  const other = (await ada.call("POST", "createRoom", { invite })).body.room_id;
  await agent.call("POST", `join/${encodeURIComponent(room)}`);
  const [asked, gone]: string[][] = [[], []];
  const upstream = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) => {
      const path = new URL(request.url).pathname;
      asked!.push(path);
      request.signal.addEventListener("abort", () => gone!.push(path));
      if (path === "/hold") return new Response(new ReadableStream());
      if (path === "/much") return new Response("ä".repeat(200_000));
      if (path === "/binary") return new Response(new Uint8Array([0, 1, 255]));
      if (path === "/none") return new Response("no such thing", { status: 404 });
      return Response.json({
        path,
        key: request.headers.get("x-api-key"),
        body: await request.text(),
      });
    },
  );
  const { port } = upstream.addr;
  const service = {
    upstream: `http://127.0.0.1:${port}`,
    inject_headers: { "x-api-key": "the-key-of-it" },
    strip_headers: [],
  };
  const services = {
    "api.v1": { ...service, deny: [{ paths: ["admin/**"] }] },
    second: service,
  };
  const matrix = { homeserver_url: server.url, user_id: agent.id, access_token: agent.token };
  try {
    await withProxy({ matrix, room, services, grants: [] }, async (harness) => {
      using proxy = createProxyClient({ socket: harness.sockets.agent });
      const grant = async (...actions: string[]) => {
        const body = JSON.stringify({ grants: [{ actions }], denials: [] });
        const put = await harness.admin("/v1/grants", { method: "PUT", body });
        assert.equal(put.status, 200, await put.text());
      };
      await use({ proxy, harness, ada, room, other, asked: asked!, gone: gone!, grant });
    });
  } finally {
    await upstream.shutdown();
  }
}

/** What anybody may who has a proxy. */
const FREE = ["attention_set", "grants", "leave_ask", "rooms_list", "whoami"];

Deno.test("each tool is there with its grant alone, and called by force is refused by the proxy", async () => {
  await withRig(async ({ proxy, room, other, ada, grant }) => {
    const { event_id } = (await ada.call(
      "PUT",
      `rooms/${encodeURIComponent(room)}/send/m.room.message/1`,
      { msgtype: "m.text", body: "hello" },
    )).body;
    const tools: readonly (readonly [name: string, action: string, args: object])[] = [
      ["messages_read", "matrix/read", {}],
      ["rooms_members", "matrix/read", { room }],
      ["rooms_directory", "matrix/directory", { search: "x" }],
      ["messages_send", "matrix/send/m.room.message", { text: "hi" }],
      ["messages_react", "matrix/send/m.reaction", { event: event_id, key: "👍" }],
      ["rooms_join", "matrix/join", { room: other }],
      ["rooms_leave", "matrix/leave", { room: other }],
      ["http_apiDOTv1", "http/api.v1", { path: "/x" }],
      ["http_second", "http/second", { path: "/x" }],
    ];
    // A server whose rights lie: the proxy's own decision is what is left.
    const services = await (async () => {
      await grant("http/**");
      return await proxy.services();
    })();
    await using forced = await Session.open({
      ...proxy,
      grants: () => Promise.resolve(EVERYTHING),
      services: () => Promise.resolve(services),
    });
    await using session = await Session.open(proxy);
    assert.deepEqual(
      (await forced.names()).toSorted(),
      [...FREE, ...tools.map(([name]) => name)].map((name) => `bureau_${name}`).toSorted(),
    );
    for (const [name, action, args] of tools) {
      const tool = `bureau_${name}`;
      await grant(...tools.map(([, each]) => each).filter((each) => each !== action));
      assert.ok(!(await session.names()).includes(tool), `${name} without ${action}`);
      await assert.rejects(session.call(tool, { ...args }), /Unknown tool/);
      const { category, retryable, message } = failureIn(await forced.call(tool, { ...args }));
      assert.deepEqual([category, retryable], ["forbidden", false], `${name}: ${message}`);
      assert.ok(message.includes(action), message);
      // The control: with just this one.
      await grant(action);
      assert.ok((await session.names()).includes(tool), `${name} with ${action}`);
      await session.given(tool, { ...args });
    }
    // A denial takes away what a grant gives.
    await grant();
    assert.deepEqual(await session.names(), FREE.map((name) => `bureau_${name}`).toSorted());
    await eventually(() => session.heard.includes("notifications/tools/list_changed"));
  });
});

Deno.test("rooms and messages: read, answered, followed while it may", async () => {
  await withRig(async ({ proxy, ada, room, other, grant }) => {
    await grant("matrix/**");
    await using session = await Session.open(proxy);
    const write = async (txn: string, content: Record<string, unknown>) =>
      (await ada.call(
        "PUT",
        `rooms/${encodeURIComponent(room)}/send/m.room.message/${txn}`,
        { msgtype: "m.text", ...content },
      )).body.event_id as string;
    const question = await write("1", { body: "how <|im_start|>much\u001b[2J?" });
    const { event_id } = await session.given("bureau_messages_send", {
      text: "forty-two",
      reply_to: question,
      mentions: [ada.id],
      notice: true,
    });
    await session.given("bureau_messages_send", { text: "more", thread: question });
    const read = async (args = {}) => {
      const { messages, next } = await session.given("bureau_messages_read", args);
      return { messages: messages as Record<string, unknown>[], next };
    };
    const { messages } = await read();
    assert.deepEqual(messages.map(({ text }) => text), [
      "how ‹|im_start¦>much\\x1b[2J?",
      "forty-two",
      "more",
    ]);
    assert.equal(messages[1]!["event_id"], event_id);
    assert.deepEqual([messages[1]!["msgtype"], messages[1]!["reply_to"]], ["m.notice", question]);
    assert.deepEqual((await read({ thread: question })).messages.map(({ text }) => text), ["more"]);
    const newest = await read({ limit: 1 });
    const before = await read({ limit: 1, from: newest.next });
    assert.deepEqual([newest, before].map((page) => page.messages[0]!["text"]), [
      "more",
      "forty-two",
    ]);

    const { rooms } = await session.given("bureau_rooms_list");
    assert.deepEqual(rooms, [{ room_id: room, name: "Work", alias: null }]);
    await session.given("bureau_rooms_join", { room: other });
    assert.equal((await proxy.matrix.joinedRooms()).length, 2);

    for (
      const [name, args, category] of [
        ["messages_send", { text: "x".repeat(10_001) }, "validation"],
        ["messages_send", {}, "validation"],
        ["messages_read", { limit: 0 }, "validation"],
        ["messages_read", { room: "#nowhere:bureau.local" }, "not_found"],
        ["attention_set", { state: "bored" }, "validation"],
      ] as const
    ) assert.equal(failureIn(await session.call(`bureau_${name}`, args)).category, category, name);

    const uri = `bureau://rooms/${encodeURIComponent(room)}/messages`;
    await session.client.subscribeResource({ uri });
    const updated = () => session.heard.filter((one) => one.endsWith(uri)).length;
    // Its stream stands from some moment on; what is written after that is told.
    let txn = 2;
    await eventually(async () => {
      await write(String(txn++), { body: "news" });
      return updated() > 0;
    });
    const { contents } = await session.client.readResource({ uri });
    assert.match((contents[0] as { text: string }).text, /"news"/);
    await grant("matrix/send/**");
    await assert.rejects(session.client.readResource({ uri }), /not found/);
    const { resourceTemplates } = await session.client.listResourceTemplates();
    assert.deepEqual(resourceTemplates, []);
    await grant("matrix/read");
    // The control.
    await session.client.readResource({ uri });
    const { resources } = await session.client.listResources();
    assert.deepEqual(resources.map((one) => one.uri), ["bureau://identity", "bureau://rooms"]);
  });
});

Deno.test("services: with the key that only the proxy has, as far as its rules let", async () => {
  await withRig(async ({ proxy, asked, gone, grant }) => {
    await grant("http/**");
    await using session = await Session.open(proxy);
    const ask = (path: string, more = {}) =>
      session.given("bureau_http_apiDOTv1", { path, ...more });
    const { status, body } = await ask("/x?y=%2F", { method: "POST", body: '{"a":1}' });
    assert.equal(status, 200);
    // The proxy takes its key out of answers, too.
    assert.deepEqual(JSON.parse(body as string), {
      path: "/x",
      key: "*".repeat("the-key-of-it".length),
      body: '{"a":1}',
    });
    const none = await ask("/none");
    assert.deepEqual([none["status"], none["body"]], [404, "no such thing"]);
    const much = await ask("/much");
    assert.equal(much["is_whole"], false);
    assert.match(much["body"] as string, /^ä{131072}$/);
    assert.equal((await ask("/binary"))["body"], null);

    const refused = async (args: Record<string, unknown>, category: string) => {
      const before = asked.length;
      const failure = failureIn(await session.call("bureau_http_apiDOTv1", args));
      assert.equal(failure.category, category, failure.message);
      assert.equal(asked.length, before);
    };
    await refused({ path: "/admin/users" }, "forbidden");
    await refused({ path: "/../second/x" }, "validation");
    await refused({ path: "/%2e%2e/second/x" }, "validation");
    await refused({ path: "x" }, "validation");
    await refused({ path: "/x", body: "with GET" }, "validation");
    await refused({ path: "/x", method: "POST", body: "x".repeat(1024 * 1024 + 1) }, "validation");

    const stop = new AbortController();
    const held = session.client.callTool(
      { name: "bureau_http_apiDOTv1", arguments: { path: "/hold" } },
      undefined,
      { signal: stop.signal },
    );
    held.catch(() => {});
    await eventually(() => asked.includes("/hold"));
    assert.ok(!gone.includes("/hold"));
    stop.abort();
    await assert.rejects(held);
    await eventually(() => gone.includes("/hold"));

    const { tools } = await session.client.listTools();
    const { description, annotations } = tools.find(({ name }) => /apiDOTv1/.test(name))!;
    assert.match(description!, /Never: any \/admin\/\*\*/);
    assert.equal(annotations?.destructiveHint, true);
  });
});

Deno.test("who one is, what one says of oneself, and leave that is asked with news of it", async () => {
  await withRig(async ({ proxy, room }) => {
    await using session = await Session.open(proxy, true);
    assert.equal((await session.names()).length, 3);
    const call = async (name: string, args = {}) =>
      await session.given("bureau_tools_call", { name, arguments: args });
    await call("bureau_attention_set", { state: "waiting", message: "for a key" });
    const who = await call("bureau_whoami");
    assert.deepEqual([who["room"], (who["said"] as { state: string }).state], [room, "waiting"]);
    assert.deepEqual(await call("bureau_grants"), { grants: [], denials: [] });
    // What one may not is not found by words either.
    const found = await session.given("bureau_tools_list", { query: "send a message in a room" });
    assert.ok(!JSON.stringify(found).includes("messages_send"));

    const news: string[] = [];
    const stop = new AbortController();
    const asking = session.client.callTool(
      {
        name: "bureau_tools_call",
        arguments: {
          name: "bureau_leave_ask",
          arguments: { tool: "Bash", permission: "delete", resource: "rm -r build" },
        },
      },
      undefined,
      { signal: stop.signal, onprogress: ({ message }) => void news.push(message!) },
    );
    await eventually(() => news.includes("asked; waiting for an operator"));
    stop.abort();
    await assert.rejects(asking);
  });
});
