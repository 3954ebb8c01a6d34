// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import type { Grant } from "../lib/schema/events.ts";
import { type Harness, withProxy } from "./testing/harness.ts";
import { rawRequest } from "./testing/raw.ts";

const TOKEN = "syt_agent_token";

interface Seen {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | null;
  readonly body: unknown;
}

/** A homeserver that records what reaches it. */
async function withMatrix(
  policy: { grants: Grant[]; denials?: { actions: string[]; source?: string }[] },
  body: (harness: Harness, seen: Seen[]) => Promise<void>,
): Promise<void> {
  const seen: Seen[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const url = new URL(request.url);
    const text = await request.text();
    seen.push({
      method: request.method,
      path: url.pathname + url.search,
      authorization: request.headers.get("authorization"),
      body: text === "" ? null : JSON.parse(text),
    });
    if (url.pathname.includes("/directory/room/")) {
      return url.pathname.includes("unknown")
        ? Response.json({ errcode: "M_NOT_FOUND", error: "no such alias" }, { status: 404 })
        : Response.json({ room_id: "!id:bureau.local" });
    }
    if (url.pathname.endsWith("/state/m.secret/")) {
      return Response.json({ errcode: "M_FORBIDDEN", error: "not in the room" }, { status: 403 });
    }
    if (url.pathname.endsWith("/members")) {
      return new Response(null, { status: 302, headers: { location: "http://evil.example/" } });
    }
    return Response.json({ event_id: "$event" });
  });
  await withProxy({
    matrix: {
      homeserver_url: `http://127.0.0.1:${server.addr.port}`,
      user_id: "@bureau/fleet/dev/agent/test:bureau.local",
      access_token: TOKEN,
    },
    denials: [],
    ...policy,
  }, (harness) => body(harness, seen));
  await server.shutdown();
}

const post = (body: unknown): RequestInit => ({ method: "POST", body: JSON.stringify(body) });

Deno.test("the agent's socket sends with the account's token and resolves an alias once", async () => {
  await withMatrix({ grants: [{ actions: ["matrix/**"] }] }, async ({ get }, seen) => {
    const message = { room: "#room:bureau.local", content: { msgtype: "m.text", body: "hi" } };
    for (const txn of ["one", "two/../three"]) {
      const response = await get(
        `/v1/matrix/message?txn=${encodeURIComponent(txn)}`,
        post(message),
      );
      assert.equal(response.status, 200);
      assert.deepEqual(await response.json(), { event_id: "$event" });
    }
    const room = "/_matrix/client/v3/rooms/!id%3Abureau.local";
    assert.deepEqual(seen.map(({ path }) => path), [
      "/_matrix/client/v3/directory/room/%23room%3Abureau.local",
      `${room}/send/m.room.message/one`,
      `${room}/send/m.room.message/two%2F..%2Fthree`,
    ]);
    assert.deepEqual(seen[1]!.body, message.content);
    assert.ok(seen.every(({ authorization }) => authorization === `Bearer ${TOKEN}`));
    const state = { room: "!id:bureau.local", event_type: "m.x", state_key: "a b", content: {} };
    await (await get("/v1/matrix/state", post(state))).text();
    assert.equal(seen.at(-1)!.method, "PUT");
    assert.equal(seen.at(-1)!.path, `${room}/state/m.x/a%20b`);
    await (await get("/v1/matrix/sync?since=s1&timeout=30000")).text();
    assert.equal(seen.at(-1)!.path, "/_matrix/client/v3/sync?since=s1&timeout=30000");
  });
});

Deno.test("the agent's socket checks each action, denials and expiry included", async () => {
  const grants = [
    { actions: ["matrix/send/m.room.message", "matrix/state/**"] },
    { actions: ["matrix/read"], expires_at: "2020-01-01T00:00:00Z" },
  ];
  const denials = [{ actions: ["matrix/state/m.room.power_levels"], source: "template" }];
  await withMatrix({ grants, denials }, async ({ get, proxy }, seen) => {
    const room = "!id:bureau.local";
    const refused = async (path: string, action: string, init?: RequestInit) => {
      const response = await get(path, init);
      const { error } = await response.json();
      assert.equal(response.status, 403, path);
      assert.equal(error.code, "forbidden");
      assert.ok(error.message.includes(`"${action}"`), error.message);
      return error.message;
    };
    const expired = await refused(`/v1/matrix/messages?room=${room}`, "matrix/read");
    assert.match(expired, /expired \(matrix\/read, until 2020-01-01T00:00:00Z\)$/);
    await refused("/v1/matrix/sync", "matrix/read");
    await refused("/v1/matrix/join", "matrix/join", post({ room }));
    const event = { room, event_type: "m.room.redaction", content: {} };
    await refused("/v1/matrix/event", "matrix/send/m.room.redaction", post(event));
    const levels = { room, event_type: "m.room.power_levels", content: {} };
    const denied = await refused(
      "/v1/matrix/state",
      "matrix/state/m.room.power_levels",
      post(levels),
    );
    assert.match(denied, /explicit denial \(matrix\/state\/m\.room\.power_levels of template\)$/);
    assert.deepEqual(seen, []);
    assert.equal(proxy.state.stats().refused, 5);
    const other = await get("/v1/matrix/state", post({ ...levels, event_type: "m.bureau.report" }));
    assert.equal(other.status, 200);
    await other.body?.cancel();
  });
});

Deno.test("the agent's socket refuses parameters that would change the path", async () => {
  await withMatrix({ grants: [{ actions: ["**"] }] }, async ({ get }, seen) => {
    const room = "!id:bureau.local";
    for (
      const path of [
        `/v1/matrix/state?room=${room}&type=m.x&key=..`,
        `/v1/matrix/state?room=${room}&type=..`,
        `/v1/matrix/state?room=${room}&type=a%2Fb`,
        "/v1/matrix/state?room=..&type=m.x",
        "/v1/matrix/state?type=m.x",
        `/v1/matrix/messages?room=${room}&limit=1%26from=x`,
      ]
    ) {
      const response = await get(path);
      assert.equal(response.status, 400, path);
      await response.body?.cancel();
    }
    for (const body of ["", "[]", "{", `{"room":"${room}"}`, `{"room":"${room}","content":[]}`]) {
      const response = await get("/v1/matrix/message", { method: "POST", body });
      assert.equal(response.status, 400, body);
      await response.body?.cancel();
    }
    assert.deepEqual(seen, []);
  });
});

Deno.test("the agent's socket hands on the homeserver's refusals and follows no redirect", async () => {
  await withMatrix({ grants: [{ actions: ["**"] }] }, async ({ get, gate }) => {
    const refused = await get("/v1/matrix/state?room=!id:bureau.local&type=m.secret");
    assert.equal(refused.status, 403);
    assert.deepEqual(await refused.json(), {
      error: { code: "M_FORBIDDEN", message: "not in the room" },
      errcode: "M_FORBIDDEN",
    });
    const unknown = await get("/v1/matrix/state?room=%23unknown:x&type=m.x");
    assert.equal(unknown.status, 404);
    assert.equal((await unknown.json()).errcode, "M_NOT_FOUND");
    const redirect = await get("/v1/matrix/room-members?room=!id:bureau.local");
    assert.equal(redirect.status, 502);
    await redirect.body?.cancel();
    assert.equal(new Set(gate.asked).size, 1);
  });
});

Deno.test("the agent's socket says who it is, what it may do, and what it does not know", async () => {
  await withProxy({}, async ({ get, sockets }) => {
    const identity = await (await get("/v1/identity")).json();
    assert.equal(identity.principal, "bureau/fleet/dev/agent/test");
    assert.equal(identity.user_id, null);
    assert.deepEqual(identity.services, []);
    assert.deepEqual(await (await get("/v1/grants")).json(), {
      grants: [{ actions: ["**"] }],
      denials: [],
    });
    const code = async (line: string) => {
      const response = await rawRequest(sockets.agent, `${line} HTTP/1.1`);
      return [response.status, JSON.parse(response.text).error.code];
    };
    assert.deepEqual(await code("GET /v1/matrix/whoami"), [503, "no-matrix-account"]);
    assert.deepEqual(await code("GET /nothing"), [404, "not-found"]);
    assert.deepEqual(await code("GET /constructor"), [404, "not-found"]);
    assert.deepEqual(await code("GET /http/nobody/x"), [404, "no-such-service"]);
    assert.deepEqual(await code("DELETE /v1/identity"), [405, "method-not-allowed"]);
    assert.deepEqual(await code("GET /v1/stats"), [404, "not-found"]);
  });
});

Deno.test("the administration replaces the policy whole, drains, and counts", async () => {
  await withProxy({ grants: [] }, async ({ get, admin, proxy }) => {
    const put = (body: unknown) =>
      admin("/v1/grants", { method: "PUT", body: JSON.stringify(body) });
    const replaced = await put({ grants: [{ actions: ["matrix/read"] }], denials: [] });
    assert.deepEqual(await replaced.json(), { count: 1 });
    for (
      const bad of [{}, { grants: [{}], denials: [] }, { grants: [], denials: [{ actions: "x" }] }]
    ) {
      const response = await put(bad);
      assert.equal(response.status, 400);
      await response.body?.cancel();
    }
    assert.deepEqual(proxy.state.policy.grants, [{ actions: ["matrix/read"] }]);
    assert.deepEqual(await (await admin("/v1/drain", { method: "POST" })).json(), { active: 0 });
    const refused = await get("/v1/identity");
    assert.equal(refused.status, 503);
    assert.equal((await refused.json()).error.code, "draining");
    assert.equal((await (await admin("/v1/stats")).json()).draining, true);
    const watch = await admin("/v1/watch");
    const reader = watch.body!.getReader();
    assert.equal(new TextDecoder().decode((await reader.read()).value), ":\n\n");
    const stopped = proxy.stop();
    assert.equal((await reader.read()).done, true);
    await stopped;
  });
});

Deno.test("the agent's socket takes only so many requests at once", async () => {
  const release = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async () => {
    reached.resolve();
    await release.promise;
    return new Response("done");
  });
  const services = {
    up: {
      upstream: `http://127.0.0.1:${server.addr.port}`,
      inject_headers: {},
      strip_headers: [],
    },
  };
  await withProxy({ services }, async ({ get }) => {
    const first = get("/http/up/");
    await reached.promise;
    const second = await get("/v1/identity");
    assert.equal(second.status, 429);
    assert.equal((await second.json()).error.code, "too-many-requests");
    release.resolve();
    assert.equal(await (await first).text(), "done");
  }, { maxActive: 1 });
  await server.shutdown();
});
