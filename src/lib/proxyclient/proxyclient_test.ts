// SPDX-License-Identifier: Apache-2.0

/** The client: that it has every endpoint, how it fails, and that following outlives a proxy. */
import assert from "node:assert/strict";
import { proxyAgentApi } from "../../proxy/api.ts";
import { relay } from "../../proxy/testing/homeserver.ts";
import { withProxy } from "../../proxy/testing/harness.ts";
import { createProxyClient, ProxyClientError } from "./mod.ts";

/** A proxy's place taken by a handler. */
async function withSocket(
  handler: (request: Request) => Response | Promise<Response>,
  body: (socket: string) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  const socket = `${dir}/proxy.sock`;
  const server = Deno.serve({ path: socket, onListen() {} }, handler);
  try {
    await body(socket);
  } finally {
    await server.shutdown();
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("the client has a call for every endpoint of the proxy", async () => {
  const asked = new Set<string>();
  const answer = {
    services: [],
    joined_rooms: [],
    chunk: [],
    rooms: [],
    status: "ok",
    decided: true,
  };
  await withSocket((request) => {
    const path = new URL(request.url).pathname;
    asked.add(`${request.method} ${path.startsWith("/http/") ? "/http/:service/*" : path}`);
    if (path !== "/v1/matrix/events") return Response.json(answer);
    return new Response("event: open\ndata: {}\nid: s1\n\n");
  }, async (socket) => {
    using client = createProxyClient({ socket });
    const { matrix } = client;
    const [room, user, event] = ["!r:x", "@u:x", "$e"];
    await client.health();
    await client.identity();
    await client.grants();
    await client.services();
    await client.attention();
    await client.setAttention("idle");
    await client.approval({ tool: "t", permission: "other", resource: "r" });
    await client.openapi();
    await (await client.http("svc", "/x?y=1", { method: "GET" })).body?.cancel();
    await matrix.whoami();
    await matrix.createRoom({});
    await matrix.resolveAlias("#a:x");
    await matrix.createAlias("#a:x", room);
    await matrix.deleteAlias("#a:x");
    await matrix.joinedRooms();
    await matrix.join(room);
    await matrix.leave(room);
    for (const name of ["invite", "kick", "ban", "unban"] as const) await matrix[name](room, user);
    await matrix.roomState(room);
    await matrix.putState(room, "m.x", "", {});
    await matrix.send(room, "m.room.message", {}, "t");
    await matrix.send(room, "m.x", {}, "t");
    await matrix.react(room, event, "x", "t");
    await matrix.redact(room, event, "t");
    await matrix.messages(room);
    await matrix.threads(room);
    await matrix.threadMessages(room, event);
    await matrix.relations(room, event);
    await matrix.context(room, event);
    await matrix.roomEvent(room, event);
    await matrix.members(room);
    await matrix.hierarchy(room);
    await matrix.profile(user);
    await matrix.displayName();
    await matrix.setDisplayName("n");
    await matrix.setAvatar("mxc://x/y");
    await matrix.presence();
    await matrix.setPresence({ presence: "online" });
    await matrix.directory();
    await (await matrix.download("mxc://x/y")).body.cancel();
    await matrix.upload("x");
    await matrix.mediaLimit();
    await matrix.sync();
    for await (const { kind } of matrix.events({ signal: new AbortController().signal })) {
      assert.equal(kind, "open");
      break;
    }
  });
  const known = Object.values(proxyAgentApi.routes).map(({ method, path }) => `${method} ${path}`);
  assert.deepEqual([...asked].sort(), known.sort());
});

Deno.test("the client's errors carry the proxy's code and hint, and the homeserver's own", async () => {
  await withProxy({ grants: [{ actions: ["http/nothing"] }] }, async ({ sockets, dir }) => {
    const is = (code: string, hint: RegExp | null, errcode?: string) => (thrown: unknown) => {
      assert.ok(thrown instanceof ProxyClientError, String(thrown));
      assert.equal(thrown.code, code);
      assert.equal(thrown.errcode, errcode);
      if (hint !== null) assert.match(thrown.hint!, hint);
      return true;
    };
    using client = createProxyClient({ socket: sockets.agent });
    await assert.rejects(client.matrix.whoami(), is("no-matrix-account", /seal a Matrix account/));
    const nobody = await client.http("nobody", "/");
    assert.equal(nobody.status, 404);
    await nobody.body?.cancel();
    using gone = createProxyClient({ socket: `${dir}/none.sock` });
    await assert.rejects(gone.identity(), is("unreachable", /replaced/));
    const stop = new AbortController();
    stop.abort(new Error("mine"));
    await assert.rejects(gone.matrix.whoami(stop.signal), /mine/);
    // By the bridge's address, too.
    await using port = relay(sockets.agent);
    using through = createProxyClient({ baseUrl: `${port.url}/` });
    const { principal, user_id, services } = await through.identity();
    assert.deepEqual([principal, user_id, services], ["bureau/fleet/dev/agent/test", null, []]);
    assert.ok("/v1/matrix/events" in ((await through.openapi())["paths"] as object));
  });
  const refusal = {
    error: { code: "M_LIMIT_EXCEEDED", message: "slow down" },
    errcode: "M_LIMIT_EXCEEDED",
    retry_after_ms: 250,
  };
  await withSocket(() => Response.json(refusal, { status: 429 }), async (socket) => {
    using client = createProxyClient({ socket });
    await assert.rejects(client.matrix.joinedRooms(), (thrown) => {
      assert.ok(thrown instanceof ProxyClientError && thrown.isPassing);
      assert.equal(thrown.errcode, "M_LIMIT_EXCEEDED");
      assert.equal(thrown.retryAfterMs, 250);
      return true;
    });
  });
  await withSocket(() => new Response("<html>"), async (socket) => {
    using client = createProxyClient({ socket });
    await assert.rejects(
      client.grants(),
      (thrown) => thrown instanceof ProxyClientError && thrown.code === "bad-answer",
    );
  });
});

Deno.test("the services that are listed are those that may be used, and nothing secret of them", async () => {
  const service = (upstream: string) => ({
    upstream,
    inject_headers: { authorization: "Bearer sk-secret-value" },
    inject_query: { key: "sk-secret-value" },
    strip_headers: [],
  });
  const services = {
    api: { ...service("https://api.example:8443/base"), deny: [{ paths: ["admin/**"] }] },
    local: service("http://127.0.0.1:9"),
    hidden: service("https://hidden.example"),
  };
  const grants = [{ actions: ["http/**"] }];
  const denials = [{ actions: ["http/hidden"] }];
  await withProxy({ services, grants, denials }, async ({ sockets, get }) => {
    using client = createProxyClient({ socket: sockets.agent });
    assert.deepEqual(await client.services(), [
      {
        name: "api",
        kind: "http",
        path: "/http/api/",
        host: "api.example",
        deny: [{ paths: ["admin/**"] }],
      },
      { name: "local", kind: "http", path: "/http/local/", host: null },
    ]);
    for (const path of ["/v1/services", "/v1/identity", "/v1/grants", "/v1/openapi.json"]) {
      assert.doesNotMatch(await (await get(path)).text(), /sk-secret/);
    }
  });
});

Deno.test("events() goes on where it was when the stream breaks off", async () => {
  const positions: (string | null)[] = [];
  await withSocket((request) => {
    const position = request.headers.get("last-event-id");
    positions.push(position);
    if (positions.length === 2) return new Response("no", { status: 503 });
    const open = `event: open\ndata: {}\nid: ${position ?? "s0"}\n\n`;
    const event = (id: string) =>
      `event: event\ndata: ${JSON.stringify({ room: "!r:x", event: { event_id: id } })}\n\n`;
    const place = "event: position\ndata: {}\nid: s1\n\n";
    // Broken off within a batch: the second event comes again.
    return new Response(
      position === null ? open + event("$1") + place + event("$2") : open + event("$2"),
    );
  }, async (socket) => {
    using client = createProxyClient({ socket });
    const stop = new AbortController();
    const lost: string[] = [];
    const seen: unknown[] = [];
    const events = client.matrix.events({
      signal: stop.signal,
      random: () => 0,
      onLost: ({ code }) => lost.push(code),
    });
    for await (const event of events) {
      seen.push(event.kind === "event" ? `${event.event.event_id} ${event.position}` : event.kind);
      if (seen.length === 4) stop.abort();
    }
    assert.deepEqual(seen, ["open", "$1 s0", "$2 s1", "$2 s1"]);
    assert.deepEqual(positions, [null, "s1", "s1"]);
    assert.deepEqual(lost, ["stream-lost", "bad-answer"]);
  });
});
