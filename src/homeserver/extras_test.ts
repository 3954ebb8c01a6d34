// SPDX-License-Identifier: Apache-2.0

/** What clients beyond Bureau's own use: relations, spaces, devices, media, admin calls. */
import assert from "node:assert/strict";
import { type Reply, Server } from "./_process.ts";

const ok = (reply: Reply) => {
  assert.equal(reply.status, 200, JSON.stringify(reply.body));
  return reply.body;
};
const refused = (reply: Reply, status: number, errcode: string) =>
  assert.deepEqual([reply.status, reply.body.errcode], [status, errcode]);
const id = encodeURIComponent;

Deno.test("homeserver, beyond rooms and state", async (t) => {
  await using server = await Server.start({
    turn: { uris: ["turn:turn.example:3478"], shared_secret: "s", ttl_seconds: 3600 },
  });
  const alice = await server.register("alice", true);
  const bob = await server.register("bob");
  const room = id(ok(await alice.call("POST", "createRoom", { invite: [bob.id] })).room_id);
  ok(await bob.call("POST", `join/${room}`, {}));
  const send = async (content: unknown, txn: string, type = "m.room.message") =>
    ok(await alice.call("PUT", `rooms/${room}/send/${type}/${txn}`, content)).event_id as string;

  await t.step("relations are listed and bundled", async () => {
    const root = await send({ body: "root" }, "r1");
    const relate = (rel_type: string) => ({ rel_type, event_id: root });
    const edit = await send(
      { body: "* new", "m.new_content": { body: "new" }, "m.relates_to": relate("m.replace") },
      "r2",
    );
    const reply = await send({ body: "in thread", "m.relates_to": relate("m.thread") }, "r3");
    await send({ "m.relates_to": { ...relate("m.annotation"), key: "+1" } }, "r4", "m.reaction");
    const event = ok(await bob.call("GET", `rooms/${room}/event/${root}`));
    const bundled = event.unsigned["m.relations"];
    assert.equal(bundled["m.replace"].event_id, edit);
    assert.equal(bundled["m.thread"].latest_event.event_id, reply);
    assert.equal(bundled["m.thread"].count, 1);
    const path = `/_matrix/client/v1/rooms/${room}`;
    const list = ok(await bob.call("GET", `${path}/relations/${root}/m.thread`));
    assert.deepEqual(list.chunk.map((e: { event_id: string }) => e.event_id), [reply]);
    const threads = ok(await bob.call("GET", `${path}/threads`));
    assert.deepEqual(threads.chunk.map((e: { event_id: string }) => e.event_id), [root]);
    const context = ok(await bob.call("GET", `rooms/${room}/context/${edit}?limit=2`));
    assert.equal(context.events_before[0].event_id, root);
    assert.equal(context.events_after[0].event_id, reply);
    const at = ok(await bob.call("GET", `${path}/timestamp_to_event?ts=${Date.now()}&dir=b`));
    assert.ok(at.event_id);
  });

  await t.step("history visibility hides what was before a join", async () => {
    const hidden = id(
      ok(
        await alice.call("POST", "createRoom", {
          initial_state: [{
            type: "m.room.history_visibility",
            content: { history_visibility: "joined" },
          }],
        }),
      ).room_id,
    );
    ok(await alice.call("PUT", `rooms/${hidden}/send/m.room.message/1`, { body: "hidden" }));
    ok(await alice.call("POST", `rooms/${hidden}/invite`, { user_id: bob.id }));
    ok(await bob.call("POST", `join/${hidden}`, {}));
    ok(await alice.call("PUT", `rooms/${hidden}/send/m.room.message/2`, { body: "shown" }));
    for (const path of [`rooms/${hidden}/messages?dir=b&limit=50`, "sync"]) {
      const text = JSON.stringify(ok(await bob.call("GET", path)));
      assert.match(text, /shown/);
      assert.doesNotMatch(text, /hidden/);
    }
  });

  await t.step("a space lists its rooms to who may see them", async () => {
    const space = id(
      ok(
        await alice.call("POST", "createRoom", {
          creation_content: { type: "m.space" },
          invite: [bob.id],
        }),
      ).room_id,
    );
    const secret = id(ok(await alice.call("POST", "createRoom", { name: "secret" })).room_id);
    for (const child of [room, secret]) {
      ok(await alice.call("PUT", `rooms/${space}/state/m.space.child/${child}`, { via: ["x"] }));
    }
    const path = `/_matrix/client/v1/rooms/${space}/hierarchy`;
    const ids = (body: { rooms: { room_id: string }[] }) => body.rooms.map((r) => id(r.room_id));
    assert.deepEqual(ids(ok(await alice.call("GET", path))), [space, room, secret]);
    assert.deepEqual(ids(ok(await bob.call("GET", path))), [space, room]);
    const first = ok(await alice.call("GET", `${path}?limit=2`));
    const rest = ok(await alice.call("GET", `${path}?limit=2&from=${first.next_batch}`));
    assert.deepEqual([...ids(first), ...ids(rest)], [space, room, secret]);
  });

  await t.step(
    "a message to a device arrives once and survives until it is confirmed",
    async () => {
      const path = "sendToDevice/m.test/1";
      const body = { messages: { [bob.id]: { [bob.device]: { n: 1 } } } };
      ok(await alice.call("PUT", path, body));
      ok(await alice.call("PUT", path, body));
      const first = ok(await bob.call("GET", "sync"));
      assert.deepEqual(first.to_device.events, [
        { type: "m.test", sender: alice.id, content: { n: 1 } },
      ]);
      assert.equal(ok(await bob.call("GET", "sync")).to_device.events.length, 1);
      const next = ok(await bob.call("GET", `sync?since=${first.next_batch}`));
      assert.equal(next.to_device, undefined);
      assert.equal(ok(await bob.call("GET", "sync")).to_device, undefined);
    },
  );

  await t.step("media comes back whole, in ranges, and never without a token", async () => {
    const bytes = crypto.getRandomValues(new Uint8Array(50_000));
    const auth = { authorization: `Bearer ${alice.token}` };
    const uploaded =
      await (await fetch(`${server.url}/_matrix/media/v3/upload?filename=a%22.html`, {
        method: "POST",
        headers: { ...auth, "content-type": "text/html" },
        body: bytes,
      })).json();
    const name = uploaded.content_uri.slice("mxc://".length);
    const url = `${server.url}/_matrix/client/v1/media/download/${name}`;
    const whole = await fetch(url, { headers: auth });
    assert.deepEqual(new Uint8Array(await whole.arrayBuffer()), bytes);
    assert.match(whole.headers.get("content-disposition")!, /^attachment; filename\*=UTF-8''a%22/);
    for (
      const [range, from, to] of [["bytes=10-19", 10, 20], ["bytes=49990-", 49_990, 50_000], [
        "bytes=-5",
        49_995,
        50_000,
      ]] as const
    ) {
      const part = await fetch(url, { headers: { ...auth, range } });
      assert.equal(part.status, 206);
      assert.equal(part.headers.get("content-range"), `bytes ${from}-${to - 1}/50000`);
      assert.deepEqual(new Uint8Array(await part.arrayBuffer()), bytes.slice(from, to));
    }
    const beyond = await fetch(url, { headers: { ...auth, range: "bytes=50000-" } });
    await beyond.body?.cancel();
    assert.equal(beyond.status, 416);
    refused(
      await server.call("GET", `/_matrix/client/v1/media/download/${name}`),
      401,
      "M_MISSING_TOKEN",
    );
    const traversal = await alice.call(
      "GET",
      "/_matrix/client/v1/media/download/bureau.local/..%2Fhomeserver.db",
    );
    refused(traversal, 404, "M_NOT_FOUND");
  });

  await t.step("a registration token is good for as many accounts as it says", async () => {
    refused(
      await bob.call("POST", "/_synapse/admin/v1/registration_tokens/new", {}),
      403,
      "M_FORBIDDEN",
    );
    const { token } = ok(
      await alice.call("POST", "/_synapse/admin/v1/registration_tokens/new", { uses_allowed: 1 }),
    );
    const register = (username: string, auth?: unknown) =>
      server.call("POST", "register", undefined, { username, password: "p", auth });
    const challenge = await register("carol");
    assert.equal(challenge.status, 401);
    assert.deepEqual(challenge.body.flows, [{ stages: ["m.login.registration_token"] }]);
    const auth = { type: "m.login.registration_token", token, session: challenge.body.session };
    assert.equal((await register("carol", { ...auth, token: "wrong" })).status, 401);
    assert.equal(ok(await register("carol", auth)).user_id, "@carol:bureau.local");
    assert.equal((await register("dave", auth)).status, 401);
  });

  await t.step("a password change needs the old one and ends other devices", async () => {
    const eve = await server.register("eve");
    const credentials = { type: "m.login.password", user: "eve", password: "password of eve" };
    const other = ok(await server.call("POST", "login", undefined, credentials)).access_token;
    const change = (auth?: unknown) =>
      eve.call("POST", "account/password", { new_password: "new", auth });
    assert.equal((await change()).status, 401);
    assert.equal((await change({ ...credentials, password: "wrong" })).status, 401);
    ok(await change(credentials));
    refused(await server.call("GET", "account/whoami", other), 401, "M_UNKNOWN_TOKEN");
    ok(await eve.call("GET", "account/whoami"));
    assert.equal((await server.call("POST", "login", undefined, credentials)).status, 403);
  });

  await t.step("an admin ends an account and deletes a room", async () => {
    const gone = await server.register("gone");
    const own = id(ok(await gone.call("POST", "createRoom", { invite: [bob.id] })).room_id);
    refused(
      await bob.call("POST", `/_synapse/admin/v1/deactivate/${id(gone.id)}`, {}),
      403,
      "M_FORBIDDEN",
    );
    ok(await alice.call("POST", `/_synapse/admin/v1/deactivate/${id(gone.id)}`, {}));
    refused(await gone.call("GET", "account/whoami"), 401, "M_UNKNOWN_TOKEN");
    const list = ok(await alice.call("GET", "/_synapse/admin/v1/rooms"));
    assert.ok(list.rooms.some((r: { room_id: string }) => id(r.room_id) === own));
    const deleted = ok(await alice.call("DELETE", `/_synapse/admin/v1/rooms/${own}`, {}));
    assert.deepEqual(deleted.kicked_users, [bob.id]);
    refused(await bob.call("POST", `join/${own}`, {}), 404, "M_NOT_FOUND");
    assert.equal(
      ok(await alice.call("GET", `/_synapse/admin/v1/whois/${id(bob.id)}`)).user_id,
      bob.id,
    );
  });

  await t.step(
    "an admin gives an account another password, and opens a closed one again",
    async () => {
      const lost = await server.register("lost");
      const where = `/_synapse/admin/v2/users/${id(lost.id)}`;
      refused(await bob.call("PUT", where, { password: "x" }), 403, "M_FORBIDDEN");
      refused(await alice.call("PUT", where, {}), 400, "M_MISSING_PARAM");
      const nobody = `/_synapse/admin/v2/users/${id("@nobody:localhost")}`;
      refused(await alice.call("PUT", nobody, { password: "x" }), 404, "M_NOT_FOUND");
      const login = (password: string) =>
        server.call("POST", "login", undefined, {
          type: "m.login.password",
          identifier: { type: "m.id.user", user: "lost" },
          password,
        });
      ok(await alice.call("PUT", where, { password: "second" }));
      refused(await lost.call("GET", "account/whoami"), 401, "M_UNKNOWN_TOKEN");
      assert.equal((await login("second")).status, 200);
      ok(await alice.call("POST", `/_synapse/admin/v1/deactivate/${id(lost.id)}`, {}));
      refused(await alice.call("PUT", where, { password: "third" }), 400, "M_INVALID_PARAM");
      assert.equal((await login("third")).status, 403);
      ok(await alice.call("PUT", where, { password: "third", deactivated: false }));
      assert.deepEqual([(await login("second")).status, (await login("third")).status], [403, 200]);
    },
  );

  await t.step("what clients ask at the start is answered", async () => {
    for (
      const path of [
        "capabilities",
        "pushrules/",
        "devices",
        "voip/turnServer",
        "publicRooms",
        "pushers",
      ]
    ) {
      ok(await bob.call("GET", path));
    }
    const turn = ok(await bob.call("GET", "voip/turnServer"));
    assert.match(turn.username, /^\d+:@bob:bureau\.local$/);
    ok(await server.call("GET", "/_matrix/client/versions"));
    const filter = ok(
      await bob.call("POST", `user/${id(bob.id)}/filter`, { room: { timeline: { limit: 1 } } }),
    );
    const synced = ok(await bob.call("GET", `sync?filter=${filter.filter_id}`));
    assert.equal(synced.rooms.join[decodeURIComponent(room)].timeline.events.length, 1);
    assert.equal(synced.rooms.join[decodeURIComponent(room)].timeline.limited, true);
  });
});

Deno.test("homeserver limits how often a password can be guessed", async () => {
  await using server = await Server.start({
    rate_limits: { login: { per_second: 0.001, burst: 2 } },
  });
  const guess = () =>
    server.call("POST", "login", undefined, { type: "m.login.password", user: "x", password: "y" });
  refused(await guess(), 403, "M_FORBIDDEN");
  refused(await guess(), 403, "M_FORBIDDEN");
  const last = await guess();
  refused(last, 429, "M_LIMIT_EXCEEDED");
  assert.ok(last.body.retry_after_ms > 0);
});
