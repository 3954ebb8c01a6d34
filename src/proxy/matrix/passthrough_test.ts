// SPDX-License-Identifier: Apache-2.0

/** `/_matrix/…`: each endpoint by its grant, nothing beside the table, and no token in either direction. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Server } from "../../homeserver/_process.ts";
import { withAccount } from "../testing/homeserver.ts";
import { withProxy } from "../testing/harness.ts";
import { rawRequest } from "../testing/raw.ts";
import { matchEndpoint } from "./match.ts";
import { ENDPOINTS } from "./table.ts";

const V3 = "/_matrix/client/v3";
const SELF = "@me:bureau.local";
const EXAMPLE: Readonly<Record<string, string>> = {
  room: "!r:bureau.local",
  joined: "#team/x:bureau.local",
  alias: "#team/x:bureau.local",
  self: SELF,
  user: "@other:bureau.local",
  event: "$event",
  type: "m.x",
  server: "bureau.local",
  media: "abc",
};

function examplePath(template: string): string {
  return template.replace(
    /\{(\w+)\}/g,
    (_, name: string) => encodeURIComponent(EXAMPLE[name] ?? "value"),
  );
}

Deno.test("each endpoint of the table is found by its own path, and by no other row's", () => {
  for (const endpoint of ENDPOINTS) {
    const path = examplePath(endpoint.path);
    const match = matchEndpoint(endpoint.method, path);
    assert.equal(match.endpoint, endpoint, `${endpoint.method} ${path}`);
    assert.equal(match.target, examplePath(endpoint.target ?? endpoint.path));
    assert.doesNotMatch(match.target + match.action, /[{}]/);
    const old = path.replace(/^(\/_matrix\/(?:client|media))\/v3\//, "$1/r0/");
    assert.equal(matchEndpoint(endpoint.method, old).endpoint, endpoint);
  }
});

/** A homeserver that keeps what reaches it, and answers with the token that came. */
async function withEcho(
  actions: string[],
  body: (
    harness: Parameters<Parameters<typeof withProxy>[1]>[0],
    seen: { line: string; authorization: string | null; body: string }[],
  ) => Promise<void>,
  denials: { actions: string[] }[] = [],
): Promise<void> {
  const seen: { line: string; authorization: string | null; body: string }[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const authorization = request.headers.get("authorization");
    seen.push({
      line: `${request.method} ${request.url.slice(request.url.indexOf("/", 8))}`,
      authorization,
      body: await request.text(),
    });
    return Response.json({ authorization, device_id: "DEVICE", joined_rooms: [], chunk: [] });
  });
  await withProxy({
    matrix: {
      homeserver_url: `http://127.0.0.1:${server.addr.port}`,
      user_id: SELF,
      access_token: "syt_the_real_token",
    },
    grants: actions.length === 0 ? [] : [{ actions }],
    denials,
  }, (harness) => body(harness, seen));
  await server.shutdown();
}

const BODIES: Readonly<Record<string, unknown>> = {
  "create-room": {},
  state: { v: 1 },
  invite: { user_id: "@other:bureau.local" },
  member: { user_id: "@other:bureau.local" },
  reason: {},
  alias: { room_id: "!r:bureau.local" },
};

Deno.test("without a grant nothing of the table reaches the homeserver; with its own each does", async () => {
  const init = (endpoint: (typeof ENDPOINTS)[number]): RequestInit => {
    const { method, check } = endpoint;
    const users = typeof check === "object" ? { [check.users]: {} } : undefined;
    const body = users ?? (check === undefined ? {} : BODIES[check as string]);
    return method === "GET" ? { method } : { method, body: JSON.stringify(body) };
  };
  await withEcho([], async ({ get }, seen) => {
    for (const endpoint of ENDPOINTS.filter(({ action }) => action !== null)) {
      const response = await get(examplePath(endpoint.path), init(endpoint));
      const body = await response.json();
      assert.equal(response.status, 403, endpoint.path);
      assert.equal(body.errcode, "M_FORBIDDEN");
      const action = matchEndpoint(endpoint.method, examplePath(endpoint.path)).action;
      assert.ok(body.error.includes(`"${action}"`), body.error);
    }
    assert.deepEqual(seen, []);
  });
  await withEcho([], async ({ get, admin }, seen) => {
    for (const endpoint of ENDPOINTS.filter(({ kind }) => kind === undefined)) {
      const path = examplePath(endpoint.path);
      const { action, target } = matchEndpoint(endpoint.method, path);
      const grants = action === null ? [] : [{ actions: [action] }];
      const policy = { method: "PUT", body: JSON.stringify({ grants, denials: [] }) };
      await (await admin("/v1/grants", policy)).body?.cancel();
      const response = await get(`${path}?access_token=mine&user_id=@x:y`, {
        ...init(endpoint),
        headers: { authorization: "Bearer mine" },
      });
      const text = await response.text();
      assert.equal(response.status, 200, `${endpoint.method} ${path}: ${text}`);
      assert.doesNotMatch(text, /syt_the_real_token/);
      const [sent] = seen.splice(0);
      assert.equal(sent!.line, `${endpoint.method} ${target}`);
      // Control: the real token is what opened it.
      assert.equal(sent!.authorization, "Bearer syt_the_real_token");
    }
  });
});

Deno.test("a denial holds however the same thing is asked for", async () => {
  const denials = ["matrix/invite", "matrix/kick", "matrix/state/m.room.power_levels"]
    .concat("matrix/alias/bureau/**", "matrix/federate/**")
    .map((action) => ({ actions: [action] }));
  await withEcho(["**"], async ({ get }, seen) => {
    const ask = async (method: string, path: string, body?: unknown) => {
      const response = await get(path, {
        method,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      await response.body?.cancel();
      return response.status;
    };
    const room = `${V3}/rooms/!r:bureau.local`;
    const member = `${room}/state/m.room.member`;
    const gateway = { room: "!r:bureau.local" };
    const other = "@other:bureau.local";
    const state = (type: string, content: unknown, state_key = "") => ({
      ...gateway,
      ...{ event_type: type, content, state_key },
    });
    const refused: [string, string, unknown?][] = [
      ["POST", `${room}/invite`, { user_id: other }],
      ["PUT", `${member}/${encodeURIComponent(other)}`, { membership: "invite" }],
      ["PUT", `${member}/${encodeURIComponent(other)}`, { membership: "leave" }],
      ["POST", `${V3}/createRoom`, { invite: [other] }],
      ["POST", `${V3}/createRoom`, {
        initial_state: [
          { type: "m.room.member", state_key: other, content: { membership: "invite" } },
        ],
      }],
      ["POST", `${V3}/createRoom`, { power_level_content_override: {} }],
      ["POST", `${V3}/createRoom`, { room_alias_name: "bureau/template" }],
      ["PUT", `${V3}/directory/room/${encodeURIComponent("#bureau/x:bureau.local")}`, {
        room_id: "!r:x",
      }],
      ["POST", "/v1/matrix/invite", { ...gateway, user_id: other }],
      ["POST", "/v1/matrix/kick", { ...gateway, user_id: other }],
      ["POST", "/v1/matrix/state", state("m.room.member", { membership: "invite" }, other)],
      ["POST", "/v1/matrix/state", state("m.room.power_levels", {})],
      ["POST", "/v1/matrix/room", { invite: [other] }],
      ["POST", "/v1/matrix/room", { room_alias_name: "bureau/template" }],
      ["POST", "/v1/matrix/alias", { alias: "#bureau/x:bureau.local", ...gateway }],
      // Names of other servers are a way out of the sandbox.
      ["POST", `${V3}/join/${encodeURIComponent("#x:data.evil.example")}`, {}],
      ["POST", `${V3}/join/!r:bureau.local?via=data.evil.example`, {}],
      ["POST", `${V3}/join/!r:bureau.local?server_name=data.evil.example`, {}],
      ["GET", `${V3}/profile/@x:data.evil.example`],
      ["GET", `${V3}/directory/room/${encodeURIComponent("#x:data.evil.example")}`],
      ["GET", `${V3}/publicRooms?server=data.evil.example`],
      ["GET", "/_matrix/client/v1/media/download/data.evil.example/x"],
      ["PUT", `${V3}/sendToDevice/m.x/1`, { messages: { "@x:data.evil.example": {} } }],
      ["GET", `/v1/matrix/resolve?alias=${encodeURIComponent("#x:data.evil.example")}`],
      ["GET", "/v1/matrix/media?uri=mxc://data.evil.example/x"],
      ["GET", "/v1/matrix/profile?user=@x:data.evil.example"],
      ["GET", "/v1/matrix/directory?server=data.evil.example"],
      ["POST", "/v1/matrix/join", { room: "#x:data.evil.example" }],
      ["POST", "/v1/matrix/message", { room: "#x:data.evil.example", content: {} }],
    ];
    for (const [method, path, body] of refused) {
      assert.equal(await ask(method, path, body), 403, `${method} ${path}`);
    }
    assert.deepEqual(seen, []);
    // Control: the same, not denied.
    for (
      const [method, path, body] of [
        ["PUT", `${member}/${encodeURIComponent(other)}`, { membership: "ban" }],
        ["POST", `${V3}/createRoom`, { room_alias_name: "team/x" }],
        ["POST", `${V3}/join/!r:bureau.local?via=bureau.local`, {}],
        ["GET", `${V3}/profile/@x:bureau.local`],
      ] as const
    ) assert.equal(await ask(method, path, body), 200, path);
    assert.equal(seen.length, 4);
  }, denials);
});

Deno.test("a body goes on as it was understood", async () => {
  await withEcho(["matrix/**"], async ({ get }, seen) => {
    const path = `${V3}/rooms/!r:bureau.local/state/m.room.member/${encodeURIComponent(SELF)}`;
    const put = (body: string, to = path) => get(to, { method: "PUT", body });
    await (await put('{"membership":"invite","membership":"leave"}')).body?.cancel();
    assert.equal(seen.at(-1)!.body, '{"membership":"leave"}');
    const join = { method: "POST", body: '{"third_party_signed":{},"reason":"x"}' };
    await (await get(`${V3}/rooms/!r:bureau.local/join`, join)).body?.cancel();
    assert.equal(seen.at(-1)!.body, '{"reason":"x"}');
    const before = seen.length;
    for (const body of ["{", "[]", "1", '"x"', "{}x", '{"membership":"owner"}']) {
      const response = await put(body);
      assert.equal(response.status, 400, body);
      await response.body?.cancel();
    }
    const large = await put(JSON.stringify({ v: "x".repeat(300_000) }), `${path}x`);
    assert.equal(large.status, 413);
    assert.equal((await large.json()).errcode, "M_TOO_LARGE");
    assert.equal(seen.length, before);
  });
});

Deno.test("login gives the socket's own user a session that is nobody's secret", async () => {
  await using server = await Server.start();
  const alice = await server.register("agent/alice");
  await withAccount(server, alice, { grants: [] }, async (_, { get }) => {
    const login = async (body: unknown) => {
      const response = await get(`${V3}/login`, { method: "POST", body: JSON.stringify(body) });
      return { status: response.status, body: await response.json() };
    };
    const { status, body } = await login({
      type: "m.login.password",
      identifier: { type: "m.id.user", user: "agent/alice" },
      password: "whatever",
    });
    assert.equal(status, 200);
    assert.equal(body.user_id, alice.id);
    assert.equal(body.device_id, alice.device);
    assert.equal(body.access_token, "bureau-proxy");
    const other = await login({ identifier: { type: "m.id.user", user: "root" } });
    assert.deepEqual([other.status, other.body.errcode], [403, "M_FORBIDDEN"]);
    await (await get(`${V3}/logout`, { method: "POST" })).body?.cancel();
    // Control: the account's own session still stands.
    assert.equal((await alice.call("GET", "account/whoami")).status, 200);
    assert.equal((await get(`${V3}/account/whoami`)).status, 200);
    const known = await (await get("/.well-known/matrix/client")).json();
    assert.equal(known["m.homeserver"].base_url, "http://192.0.2.1");
  });
});

Deno.test("what would hand out or end the session is in no row", async () => {
  await withEcho(["**"], async ({ get }, seen) => {
    for (
      const [method, path] of [
        ["POST", `${V3}/logout/all`],
        ["POST", `${V3}/refresh`],
        ["POST", `${V3}/register`],
        ["POST", `${V3}/account/password`],
        ["POST", `${V3}/account/deactivate`],
        ["POST", `${V3}/user/${SELF}/openid/request_token`],
        ["DELETE", `${V3}/devices/DEVICE`],
        ["POST", `${V3}/delete_devices`],
        ["POST", `${V3}/pushers/set`],
        ["POST", "/_matrix/client/v1/login/get_token"],
        ["GET", "/_matrix/media/v3/preview_url?url=http://evil.example"],
        ["GET", "/_matrix/client/v1/media/preview_url?url=http://evil.example"],
        ["GET", `${V3}/voip/turnServer`],
        ["GET", "/_matrix/federation/v1/version"],
        ["GET", "/_matrix/key/v2/server"],
        ["PUT", `${V3}/rooms/!r:x/send/m.x`],
        ["OPTIONS", `${V3}/sync`],
        ["HEAD", `${V3}/sync`],
      ] as const
    ) {
      const response = await get(path, { method });
      assert.equal(response.status, 403, path);
      await response.body?.cancel();
    }
    assert.deepEqual(seen, []);
    // Control.
    await (await get(`${V3}/sync`)).body?.cancel();
    assert.equal(seen.length, 1);
  });
});

/** One spelling of a path that a careless router or server reads as the path itself. */
const respelled = (path: string) =>
  fc.tuple(
    fc.nat(path.length - 1),
    fc.constantFrom(
      "encode",
      "encode twice",
      "upper",
      "//",
      "/./",
      "/x/../",
      ";x",
      "%2f",
      "%00",
      "\\",
      "/%2e%2e/",
    ),
  ).map(([at, how]) => {
    const hex = path.charCodeAt(at).toString(16).padStart(2, "0");
    const [before, char, after] = [path.slice(0, at), path[at]!, path.slice(at + 1)];
    const slash = path.indexOf("/", at) === -1 ? path.lastIndexOf("/") : path.indexOf("/", at);
    const put = (text: string) => path.slice(0, slash) + text + path.slice(slash + 1);
    switch (how) {
      case "encode":
        return `${before}%${hex}${after}`;
      case "encode twice":
        return `${before}%25${hex}${after}`;
      case "upper":
        return before + char.toUpperCase() + after;
      case ";x":
        return `${path.slice(0, slash)};x${path.slice(slash)}`;
      case "%00":
        return `${before}%00${char}${after}`;
      default:
        return put(how);
    }
  });

Deno.test("no spelling of a path passes the table for another than the one that is sent", async () => {
  const dangerous = ["account/password", "logout/all", "pushers/set", "account/deactivate"]
    .map((name) => `${V3}/${name}`);
  const granted = [
    `${V3}/rooms/!r:bureau.local/send/m.room.message/1`,
    `${V3}/rooms/!r:bureau.local/send/m.room.power_levels/1`,
    `${V3}/rooms/!r:bureau.local/state/m.room.power_levels/`,
    `${V3}/rooms/!r:bureau.local/invite`,
    `${V3}/sync`,
  ];
  await withEcho(["matrix/send/m.room.message"], async ({ sockets }, seen) => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...dangerous, ...granted).chain((path) =>
          respelled(path).chain((once) => fc.constantFrom(once, path)).chain(respelled)
        ),
        fc.constantFrom("GET", "PUT", "POST", "DELETE"),
        async (path, method) => {
          const head = [`${method} ${path} HTTP/1.1`, "Host: x", "Connection: close"];
          if (method !== "GET") head.push("Content-Length: 2");
          const before = seen.length;
          const { status } = await rawRequest(
            sockets.agent,
            head.join("\r\n"),
            method === "GET" ? "" : "{}",
          );
          for (const { line } of seen.slice(before)) {
            // Whatever was understood, it is the one thing that is granted, in its canonical spelling.
            assert.match(
              line,
              /^PUT \/_matrix\/client\/v3\/rooms\/![^/]+\/send\/m\.room\.message\//,
            );
            assert.doesNotMatch(line, /%2e%2e|\/\.\.?(?:\/|$)|\/\/|\\|;/i);
            assert.equal(line.split("/").length, 9);
          }
          if (seen.length === before) assert.ok(status === 0 || status >= 400, `${status} ${path}`);
        },
      ),
      { numRuns: 1500 },
    );
    // Control: the one thing that is granted does pass, in two spellings, as one.
    const before = seen.length;
    for (const path of [granted[0]!, granted[0]!.replace("m.room.message", "m%2Eroom.message")]) {
      await rawRequest(
        sockets.agent,
        `PUT ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2`,
        "{}",
      );
    }
    const passed = seen.slice(before).map(({ line }) => line);
    assert.equal(passed.length, 2);
    assert.equal(passed[0], passed[1]);
  });
});
