// SPDX-License-Identifier: Apache-2.0

/** The real process over HTTP, with its production permissions. */
import assert from "node:assert/strict";
import { type Reply, Server, type User } from "./_process.ts";

const ok = (reply: Reply) => {
  assert.equal(reply.status, 200, JSON.stringify(reply.body));
  return reply.body;
};
const refused = (reply: Reply, status: number, errcode: string) =>
  assert.deepEqual([reply.status, reply.body.errcode], [status, errcode]);
const id = encodeURIComponent;

async function newRoom(user: User, options: Record<string, unknown> = {}): Promise<string> {
  return id(ok(await user.call("POST", "createRoom", options)).room_id);
}

Deno.test("homeserver", async (t) => {
  await using server = await Server.start();
  const alice = await server.register("agent/alice", true);
  const bob = await server.register("bob");

  await t.step("register refuses a used name, a wrong HMAC and a replayed nonce", async () => {
    await assert.rejects(server.register("bob"), /M_USER_IN_USE/);
    const { nonce } = ok(await server.call("GET", "/_synapse/admin/v1/register"));
    const body = { nonce, username: "eve", password: "x", admin: true, mac: "00".repeat(20) };
    const path = "/_synapse/admin/v1/register";
    refused(await server.call("POST", path, undefined, body), 403, "M_FORBIDDEN");
    refused(await server.call("POST", path, undefined, body), 400, "M_INVALID_PARAM");
  });

  await t.step("login gives a device, logout ends its token only", async () => {
    const credentials = {
      type: "m.login.password",
      identifier: { type: "m.id.user", user: "bob" },
      password: "password of bob",
      device_id: "PHONE",
    };
    const session = ok(await server.call("POST", "login", undefined, credentials));
    assert.equal(session.device_id, "PHONE");
    const phone = server.user(session.user_id, session.access_token, session.device_id);
    assert.equal(ok(await phone.call("GET", "account/whoami")).device_id, "PHONE");
    ok(await phone.call("POST", "logout", {}));
    refused(await phone.call("GET", "account/whoami"), 401, "M_UNKNOWN_TOKEN");
    ok(await bob.call("GET", "account/whoami"));
    const wrong = await server.call("POST", "login", undefined, { ...credentials, password: "no" });
    refused(wrong, 403, "M_FORBIDDEN");
  });

  await t.step("tokens are stored as hashes, passwords as scrypt", async () => {
    for (const file of ["homeserver.db", "homeserver.db-wal"]) {
      const text = new TextDecoder("latin1").decode(
        await Deno.readFile(`${server.stateDir}/${file}`),
      );
      assert.ok(!text.includes(bob.token), `token in ${file}`);
      assert.ok(!text.includes("password of bob"), `password in ${file}`);
    }
  });

  await t.step("state keys with slashes are one key, encoded or raw", async () => {
    const room = await newRoom(alice);
    const path = `rooms/${room}/state/m.bureau.x`;
    ok(await alice.call("PUT", `${path}/agent%2Fa:bureau.local`, { v: 1 }));
    assert.deepEqual(ok(await alice.call("GET", `${path}/agent/a:bureau.local`)), { v: 1 });
    ok(await alice.call("PUT", `${path}/`, { v: 2 }));
    assert.deepEqual(ok(await alice.call("GET", path)), { v: 2 });
    const first = ok(await alice.call("PUT", path, { v: 2 })).event_id;
    assert.equal(ok(await alice.call("PUT", path, { v: 2 })).event_id, first);
    refused(await alice.call("PUT", `${path}/${id(bob.id)}`, {}), 403, "M_FORBIDDEN");
    refused(await alice.call("GET", `${path}/nothing`), 404, "M_NOT_FOUND");
    const event = ok(await alice.call("GET", `${path}/?format=event`));
    assert.equal(event.event_id, first);
  });

  await t.step(
    "power levels protect a config room; the override holds from the start",
    async () => {
      const room = await newRoom(alice, {
        preset: "private_chat",
        invite: [bob.id],
        power_level_content_override: {
          state_default: 100,
          events: { "m.bureau.principal_status": 50 },
          users: { [alice.id]: 100, [bob.id]: 50 },
        },
      });
      ok(await bob.call("POST", `join/${room}`, {}));
      ok(await bob.call("PUT", `rooms/${room}/state/m.bureau.principal_status/x`, { a: 1 }));
      refused(
        await bob.call("PUT", `rooms/${room}/state/m.bureau.assignment/x`, {}),
        403,
        "M_FORBIDDEN",
      );
      const levels = ok(await bob.call("GET", `rooms/${room}/state/m.room.power_levels`));
      levels.users[bob.id] = 100;
      refused(
        await bob.call("PUT", `rooms/${room}/state/m.room.power_levels`, levels),
        403,
        "M_FORBIDDEN",
      );
      ok(await alice.call("PUT", `rooms/${room}/state/m.room.power_levels`, levels));
      refused(
        await bob.call("POST", `rooms/${room}/kick`, { user_id: alice.id }),
        403,
        "M_FORBIDDEN",
      );
    },
  );

  await t.step("a long poll wakes for what happens, and only for that", async () => {
    const room = await newRoom(alice, { invite: [bob.id] });
    ok(await bob.call("POST", `rooms/${room}/join`, {}));
    const other = await newRoom(alice);
    const { next_batch } = ok(await bob.call("GET", "sync"));
    ok(await alice.call("PUT", `rooms/${other}/send/m.room.message/1`, { body: "unseen" }));
    const filter = id(JSON.stringify({ presence: { not_types: ["*"] } }));
    const waiting = bob.call("GET", `sync?timeout=20000&since=${next_batch}&filter=${filter}`);
    const { event_id } = ok(
      await alice.call("PUT", `rooms/${room}/send/m.room.message/1`, { body: "seen" }),
    );
    const news = ok(await waiting);
    assert.deepEqual(Object.keys(news.rooms.join), [decodeURIComponent(room)]);
    const part = news.rooms.join[decodeURIComponent(room)];
    assert.equal(part.timeline.events.at(-1).event_id, event_id);
    assert.equal(part.timeline.limited, false);
    const quiet = ok(
      await bob.call("GET", `sync?timeout=0&since=${news.next_batch}&filter=${filter}`),
    );
    assert.equal(quiet.rooms, undefined);
  });

  await t.step("sync tells of a gap: limited, prev_batch, and the state in it", async () => {
    const room = await newRoom(alice);
    const key = decodeURIComponent(room);
    const { next_batch } = ok(await alice.call("GET", "sync"));
    ok(await alice.call("PUT", `rooms/${room}/state/m.bureau.x/k`, { v: 1 }));
    for (let i = 0; i < 12; i++) {
      ok(await alice.call("PUT", `rooms/${room}/send/m.room.message/${i}`, { n: i }));
    }
    const filter = id(JSON.stringify({ room: { timeline: { limit: 5 } } }));
    const news = ok(await alice.call("GET", `sync?since=${next_batch}&filter=${filter}`));
    const part = news.rooms.join[key];
    assert.equal(part.timeline.limited, true);
    assert.deepEqual(
      part.timeline.events.map((e: { content: { n: number } }) => e.content.n),
      [7, 8, 9, 10, 11],
    );
    assert.deepEqual(part.state.events.map((e: { content: unknown }) => e.content), [{ v: 1 }]);
    const from = part.timeline.prev_batch;
    const page = ok(await alice.call("GET", `rooms/${room}/messages?dir=b&from=${from}&limit=2`));
    assert.deepEqual(
      page.chunk.map((e: { content: { n: number } }) => e.content.n),
      [6, 5],
    );
    const next = ok(
      await alice.call("GET", `rooms/${room}/messages?dir=b&from=${page.end}&limit=1`),
    );
    assert.equal(next.chunk[0].content.n, 4);
  });

  await t.step("invite, reject, leave, kick, ban reach the right section of sync", async () => {
    const room = await newRoom(alice, { name: "R", invite: [bob.id] });
    const key = decodeURIComponent(room);
    const sync = async (since?: string) =>
      ok(await bob.call("GET", since === undefined ? "sync" : `sync?since=${since}`));
    let news = await sync();
    const types = news.rooms.invite[key].invite_state.events.map((e: { type: string }) => e.type);
    assert.ok(types.includes("m.room.name") && types.includes("m.room.member"));
    ok(await bob.call("POST", `rooms/${room}/leave`, {}));
    news = await sync(news.next_batch);
    assert.equal(news.rooms.leave[key].timeline.events[0].content.membership, "leave");
    refused(await bob.call("POST", `rooms/${room}/join`, {}), 403, "M_FORBIDDEN");
    refused(await bob.call("GET", `rooms/${room}/state`), 403, "M_FORBIDDEN");
    ok(await alice.call("POST", `rooms/${room}/invite`, { user_id: bob.id }));
    ok(await bob.call("POST", `rooms/${room}/join`, {}));
    news = await sync(news.next_batch);
    assert.ok(
      news.rooms.join[key].state.events.length + news.rooms.join[key].timeline.events.length > 5,
    );
    ok(await alice.call("POST", `rooms/${room}/ban`, { user_id: bob.id, reason: "x" }));
    ok(await alice.call("PUT", `rooms/${room}/send/m.room.message/after`, { body: "secret" }));
    news = await sync(news.next_batch);
    assert.doesNotMatch(JSON.stringify(news), /secret/);
    assert.equal(news.rooms.leave[key].timeline.events.at(-1).content.membership, "ban");
    refused(await bob.call("POST", `rooms/${room}/join`, {}), 403, "M_FORBIDDEN");
    ok(await alice.call("POST", `rooms/${room}/unban`, { user_id: bob.id }));
    const history = ok(await bob.call("GET", `rooms/${room}/messages?dir=b&limit=100`));
    assert.doesNotMatch(JSON.stringify(history), /secret/);
  });

  await t.step("a repeated transaction gives the first answer, on one device only", async () => {
    const room = await newRoom(alice);
    const path = `rooms/${room}/send/m.room.message/same`;
    const first = ok(await alice.call("PUT", path, { body: "1" })).event_id;
    assert.equal(ok(await alice.call("PUT", path, { body: "1" })).event_id, first);
    const event = ok(await alice.call("GET", `rooms/${room}/event/${first}`));
    assert.equal(event.unsigned.transaction_id, "same");
  });

  await t.step("a redaction empties the event and says so", async () => {
    const room = await newRoom(alice, { invite: [bob.id] });
    ok(await bob.call("POST", `join/${room}`, {}));
    const mine = ok(await alice.call("PUT", `rooms/${room}/send/m.room.message/1`, { body: "x" }));
    refused(
      await bob.call("PUT", `rooms/${room}/redact/${mine.event_id}/1`, {}),
      403,
      "M_FORBIDDEN",
    );
    ok(await alice.call("PUT", `rooms/${room}/redact/${mine.event_id}/1`, { reason: "typo" }));
    const event = ok(await bob.call("GET", `rooms/${room}/event/${mine.event_id}`));
    assert.deepEqual(event.content, {});
    assert.equal(event.unsigned.redacted_because.content.reason, "typo");
  });

  await t.step("canonical_alias must lead to the room", async () => {
    const room = await newRoom(alice, { room_alias_name: "ns/fleet/a" });
    const alias = "#ns/fleet/a:bureau.local";
    const path = `rooms/${room}/state/m.room.canonical_alias`;
    refused(await alice.call("PUT", path, { alias: "#other:bureau.local" }), 400, "M_BAD_ALIAS");
    assert.equal(
      id(ok(await bob.call("GET", `directory/room/${id(alias)}`)).room_id),
      room,
    );
    refused(
      await alice.call("POST", "createRoom", { room_alias_name: "ns/fleet/a" }),
      400,
      "M_ROOM_IN_USE",
    );
    refused(await bob.call("DELETE", `directory/room/${id(alias)}`), 403, "M_FORBIDDEN");
    ok(await alice.call("DELETE", `directory/room/${id(alias)}`));
    refused(await bob.call("GET", `directory/room/${id(alias)}`), 404, "M_NOT_FOUND");
  });

  await t.step("profile, account data, typing and receipts reach sync", async () => {
    const room = await newRoom(alice, { invite: [bob.id] });
    const key = decodeURIComponent(room);
    ok(await bob.call("POST", `join/${room}`, {}));
    const { event_id } = ok(
      await alice.call("PUT", `rooms/${room}/send/m.room.message/1`, {
        msgtype: "m.text",
        body: "x",
      }),
    );
    const { next_batch } = ok(await alice.call("GET", "sync"));
    ok(await bob.call("PUT", `profile/${id(bob.id)}/displayname`, { displayname: "Bob" }));
    ok(
      await bob.call("PUT", `rooms/${room}/typing/${id(bob.id)}`, { typing: true, timeout: 60000 }),
    );
    ok(await bob.call("POST", `rooms/${room}/receipt/m.read/${event_id}`, {}));
    ok(await alice.call("PUT", `user/${id(alice.id)}/account_data/org.x`, { a: 1 }));
    const news = ok(await alice.call("GET", `sync?since=${next_batch}`));
    const part = news.rooms.join[key];
    assert.equal(part.timeline.events[0].content.displayname, "Bob");
    assert.deepEqual(part.ephemeral.events.map((e: { type: string }) => e.type).sort(), [
      "m.receipt",
      "m.typing",
    ]);
    assert.deepEqual(news.account_data.events, [{ type: "org.x", content: { a: 1 } }]);
    refused(
      await bob.call("PUT", `profile/${id(alice.id)}/displayname`, { displayname: "x" }),
      403,
      "M_FORBIDDEN",
    );
  });

  await t.step("bad input is refused by name", async () => {
    const room = await newRoom(alice);
    const path = `rooms/${room}/state/m.bureau.x`;
    refused(await alice.call("PUT", path, "{nope"), 400, "M_NOT_JSON");
    refused(await alice.call("PUT", path, "[1]"), 400, "M_BAD_JSON");
    refused(await alice.call("PUT", path, '{"a":1.5}'), 400, "M_BAD_JSON");
    refused(await alice.call("PUT", path, '{"a":9007199254740993}'), 400, "M_BAD_JSON");
    refused(await alice.call("PUT", path, '{"a":"\\ud800"}'), 400, "M_BAD_JSON");
    refused(
      await alice.call("PUT", path, `{"a":${"[".repeat(50_000)}${"]".repeat(50_000)}}`),
      400,
      "M_BAD_JSON",
    );
    refused(await alice.call("PUT", path, { a: "x".repeat(65_536) }), 413, "M_TOO_LARGE");
    refused(await alice.call("PUT", path, { a: "x".repeat(500_000) }), 413, "M_TOO_LARGE");
    ok(await alice.call("PUT", path, { a: "x".repeat(65_000) }));
    refused(await alice.call("PUT", `${path}/${"k".repeat(256)}`, {}), 413, "M_TOO_LARGE");
    refused(await alice.call("GET", "sync?since=nonsense"), 400, "M_INVALID_PARAM");
    refused(await alice.call("GET", "sync?timeout=-1"), 400, "M_INVALID_PARAM");
    refused(await server.call("GET", "sync"), 401, "M_MISSING_TOKEN");
    refused(await server.call("GET", "sync", "forged"), 401, "M_UNKNOWN_TOKEN");
    refused(await alice.call("GET", "no/such/thing"), 404, "M_UNRECOGNIZED");
    refused(await alice.call("DELETE", "sync"), 405, "M_UNRECOGNIZED");
    refused(
      await alice.call("POST", "createRoom", { room_version: "12" }),
      400,
      "M_UNSUPPORTED_ROOM_VERSION",
    );
    const preflight = await fetch(`${server.url}/_matrix/client/v3/sync`, { method: "OPTIONS" });
    await preflight.body?.cancel();
    assert.equal(preflight.headers.get("access-control-allow-origin"), "*");
  });

  await t.step("a since token of another life gives everything again", async () => {
    const all = Object.keys(ok(await alice.call("GET", "sync")).rooms.join).length;
    for (const token of ["s5_00000000", "s999999999"]) {
      const news = ok(await alice.call("GET", `sync?since=${token}&timeout=1000`));
      assert.equal(Object.keys(news.rooms.join).length, all);
    }
  });
});

Deno.test("homeserver keeps every acknowledged event when killed in the middle of writes", async () => {
  await using first = await Server.start();
  const alice = await first.register("alice");
  const room = await newRoom(alice);
  const acknowledged: string[] = [];
  let sent = 0;
  const writers = Array.from({ length: 16 }, async (_, writer) => {
    for (let i = 0;; i++) {
      try {
        sent++;
        const reply = await alice.call("PUT", `rooms/${room}/state/m.bureau.x/${writer}-${i}`, {
          i,
        });
        if (reply.status === 200) acknowledged.push(reply.body.event_id);
      } catch {
        return;
      }
      if (acknowledged.length === 400) await first.kill();
    }
  });
  await Promise.all(writers);
  assert.ok(acknowledged.length >= 400 && sent > acknowledged.length);
  await using second = await Server.start({}, first.stateDir);
  const again = second.user(alice.id, alice.token, alice.device);
  const state = ok(await again.call("GET", `rooms/${room}/state`));
  const present = new Set(state.map((event: { event_id: string }) => event.event_id));
  assert.deepEqual(acknowledged.filter((event) => !present.has(event)), []);
});

Deno.test("homeserver stops cleanly on SIGTERM while a poll waits", async () => {
  await using server = await Server.start();
  const alice = await server.register("alice");
  const { next_batch } = ok(await alice.call("GET", "sync"));
  const waiting = alice.call("GET", `sync?since=${next_batch}&timeout=60000`);
  ok(await alice.call("GET", "account/whoami"));
  const status = await server.stop();
  assert.equal(status.code, 0);
  ok(await waiting);
});

Deno.test("homeserver says what to do when its port is taken", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  await assert.rejects(
    Server.start({ listen: { hostname: "127.0.0.1", port } }),
    (thrown: Error & { line: { error: { code: string; hint: string } } }) => {
      assert.equal(thrown.line.error.code, "port-in-use");
      assert.match(thrown.line.error.hint, new RegExp(`${port}.*--listen`));
      return true;
    },
  );
});

Deno.test("homeserver refuses a public address unless told", async () => {
  await assert.rejects(
    Server.start({ listen: { hostname: "0.0.0.0", port: 0 } }),
    (thrown: Error & { line: { error: { code: string } } }) =>
      thrown.line.error.code === "public-address",
  );
});
