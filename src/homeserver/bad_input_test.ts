// SPDX-License-Identifier: Apache-2.0

/**
 * What broken and hostile clients send, over real sockets. Each is refused by name, and after all of
 * it the server answers an ordinary client and holds no more memory and sockets than before.
 */
import assert from "node:assert/strict";
import { registerAt } from "./_model.ts";
import { type Reply, SECRET, Server, type User } from "./_process.ts";
import { raw, sendAndVanish, until } from "./_raw.ts";
import { MAX_POLLS } from "./notifier.ts";
import { startHomeserver } from "./server.ts";

const id = encodeURIComponent;
const ok = (reply: Reply) => {
  assert.equal(reply.status, 200, JSON.stringify(reply.body));
  return reply.body;
};
const refused = (reply: { status: number; body: { errcode?: string } }, ...wanted: unknown[]) =>
  assert.deepEqual([reply.status, reply.body?.errcode], wanted, JSON.stringify(reply.body));

async function newRoom(user: User, options: Record<string, unknown> = {}): Promise<string> {
  return id(ok(await user.call("POST", "createRoom", options)).room_id);
}

async function sockets(pid: number): Promise<number> {
  let count = 0;
  for await (const { name } of Deno.readDir(`/proc/${pid}/fd`)) {
    const target = await Deno.readLink(`/proc/${pid}/fd/${name}`).catch(() => "");
    if (target.startsWith("socket:")) count++;
  }
  return count;
}

async function residentMb(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)![1]) / 1024;
}

Deno.test("homeserver and bad input", async (t) => {
  await using server = await Server.start({
    rate_limits: { write: { per_second: 1e6, burst: 1e6 } },
  });
  const alice = await server.register("alice", true);
  const bob = await server.register("bob");
  const room = await newRoom(alice, { preset: "public_chat", invite: [] });
  ok(await bob.call("POST", `join/${room}`, {}));
  const auth = { authorization: `Bearer ${alice.token}` };
  const pid = server.process.pid;
  const memoryBefore = await residentMb(pid);

  await t.step("bodies that are not a JSON object", async () => {
    const path = `rooms/${room}/send/m.x`;
    const bodies: [string, string][] = [
      ["{", "M_NOT_JSON"],
      ["{}}", "M_NOT_JSON"],
      ["{'a':1}", "M_NOT_JSON"],
      ['{"a":NaN}', "M_NOT_JSON"],
      ['{"a":01}', "M_NOT_JSON"],
      ['{"a":"\n"}', "M_NOT_JSON"],
      ["null", "M_BAD_JSON"],
      ["true", "M_BAD_JSON"],
      ['"text"', "M_BAD_JSON"],
      ["[{}]", "M_BAD_JSON"],
      ['{"a":1e400}', "M_BAD_JSON"],
      ['{"a":1.5}', "M_BAD_JSON"],
      ['{"a":-9007199254740992}', "M_BAD_JSON"],
      ['{"a":9007199254740992}', "M_BAD_JSON"],
      ['{"a":{"b":[1,{"c":0.1}]}}', "M_BAD_JSON"],
      ['{"\\ud800":1}', "M_BAD_JSON"],
      [`{"a":${"[".repeat(101)}${"]".repeat(101)}}`, "M_BAD_JSON"],
      [`${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}`, "M_BAD_JSON"],
    ];
    for (const [index, [body, errcode]] of bodies.entries()) {
      refused(await alice.call("PUT", `${path}/bad${index}`, body), 400, errcode);
    }
    const invalid = new Uint8Array([...new TextEncoder().encode('{"a":"'), 0xff, 0xfe, 0x22, 0x7d]);
    refused(
      await raw(server.url, "PUT", `/_matrix/client/v3/${path}/utf`, auth, invalid),
      400,
      "M_NOT_JSON",
    );
    // The control: the same door takes what is right.
    ok(await alice.call("PUT", `${path}/good`, '{"a":9007199254740991,"b":-0,"c":[[[]]]}'));
    ok(await alice.call("PUT", `${path}/deep`, `{"a":${"[".repeat(99)}${"]".repeat(99)}}`));
  });

  await t.step("fields of the wrong type", async () => {
    const wrong = [null, true, 1, [], {}, "", "x"];
    const calls: [string, string, (value: unknown) => unknown][] = [
      ["POST", "createRoom", (v) => ({ invite: v })],
      ["POST", "createRoom", (v) => ({ initial_state: v })],
      ["POST", "createRoom", (v) => ({ power_level_content_override: v })],
      ["POST", "createRoom", (v) => ({ creation_content: v })],
      ["POST", "createRoom", (v) => ({ preset: v, name: v, topic: v })],
      ["POST", "createRoom", (v) => ({ room_version: v, room_alias_name: v })],
      ["POST", `rooms/${room}/invite`, (v) => ({ user_id: v })],
      ["POST", `rooms/${room}/kick`, (v) => ({ user_id: v, reason: v })],
      ["POST", `rooms/${room}/read_markers`, (v) => ({ "m.read": v, "m.fully_read": v })],
      ["PUT", `rooms/${room}/typing/${id(alice.id)}`, (v) => ({ typing: v, timeout: v })],
      ["PUT", `presence/${id(alice.id)}/status`, (v) => ({ presence: v, status_msg: v })],
      ["PUT", `profile/${id(alice.id)}/displayname`, (v) => ({ displayname: v })],
      ["POST", "login", (v) => ({ type: v })],
      ["POST", "login", (v) => ({ type: "m.login.password", identifier: v, password: v })],
      [
        "POST",
        "login",
        (v) => ({
          type: "m.login.password",
          identifier: { type: "m.id.user", user: v },
          password: v,
        }),
      ],
      ["POST", "register", (v) => ({ auth: v, username: v, password: v })],
      ["POST", "delete_devices", (v) => ({ devices: v })],
      ["PUT", "sendToDevice/m.x/1", (v) => ({ messages: v })],
      ["PUT", "sendToDevice/m.x/2", (v) => ({ messages: { [bob.id]: v } })],
      [
        "POST",
        `user/${id(alice.id)}/filter`,
        (v) => ({ room: v, presence: { types: v, limit: v } }),
      ],
      ["PUT", `rooms/${room}/state/m.room.power_levels`, (v) => ({ users: v, ban: v })],
      ["PUT", `rooms/${room}/state/m.room.member/${id(alice.id)}`, (v) => ({ membership: v })],
      ["PUT", `rooms/${room}/state/m.room.canonical_alias`, (v) => ({ alias: v, alt_aliases: v })],
      ["PUT", `rooms/${room}/send/m.room.redaction/1`, (v) => ({ redacts: v })],
      ["PUT", `rooms/${room}/send/m.x/rel`, (v) => ({ "m.relates_to": v })],
      [
        "PUT",
        `rooms/${room}/send/m.x/rel2`,
        (v) => ({ "m.relates_to": { rel_type: v, event_id: v } }),
      ],
      ["PUT", `directory/room/${id("#x:bureau.local")}`, (v) => ({ room_id: v })],
      ["POST", "keys/query", (v) => ({ device_keys: v })],
      ["POST", "publicRooms", (v) => ({ limit: v, since: v, filter: v })],
      ["POST", "search", (v) => ({ search_categories: v })],
      ["POST", "account/password", (v) => ({ new_password: v, auth: v })],
    ];
    for (const [method, path, build] of calls) {
      for (const value of wrong) {
        const { status, body } = await alice.call(method, path, build(value));
        const what = `${method} ${path} ${JSON.stringify(build(value))}: ${status} ${
          JSON.stringify(body)
        }`;
        assert.ok(status < 500, what);
        if (status >= 400) {
          assert.match(String(body.errcode ?? (body.flows && "M_UIA")), /^M_[A-Z_]+$/, what);
        }
      }
    }
    ok(await alice.call("GET", "account/whoami"));
  });

  await t.step("hostile queries", async () => {
    const values = [
      "-1",
      "1.5",
      "1e9",
      "NaN",
      "99999999999999999999",
      "%00",
      "x",
      "[]",
      "{}",
      "%F0%9F%98%80",
    ];
    const names: [string, string][] = [
      ["sync", "timeout"],
      ["sync", "since"],
      ["sync", "filter"],
      ["sync", "full_state"],
      [`rooms/${room}/messages`, "limit"],
      [`rooms/${room}/messages`, "from"],
      [`rooms/${room}/messages`, "to"],
      [`rooms/${room}/messages`, "dir"],
      [`rooms/${room}/messages`, "filter"],
      [`rooms/${room}/members`, "at"],
      [`rooms/${room}/members`, "membership"],
      [`rooms/${room}/threads`, "from"],
      ["publicRooms", "limit"],
      ["publicRooms", "since"],
      [`/_matrix/client/v1/rooms/${room}/hierarchy`, "from"],
      [`/_matrix/client/v1/rooms/${room}/hierarchy`, "max_depth"],
      [`/_matrix/client/v1/rooms/${room}/timestamp_to_event`, "ts"],
    ];
    for (const [path, name] of names) {
      for (const value of values) {
        const { status, body } = await alice.call("GET", `${path}?${name}=${value}`);
        assert.ok(status < 500, `${path}?${name}=${value}: ${status} ${JSON.stringify(body)}`);
      }
    }
    for (
      const filter of [
        "[[[[",
        "[1]",
        "null",
        '{"room":1}',
        '{"room":{"timeline":{"limit":-5}}}',
        '{"room":{"timeline":{"limit":1e99,"types":[null,{}]}}}',
        `{"room":{"timeline":{"types":["${"*a".repeat(500)}"]}}}`,
      ]
    ) {
      const { status, body } = await alice.call("GET", `sync?filter=${id(filter)}`);
      assert.ok(
        status === 200 || status === 400 || status === 404,
        `${filter}: ${status} ${JSON.stringify(body)}`,
      );
    }
  });

  await t.step("events at the limit and beyond it", async () => {
    const path = `rooms/${room}/send/m.x`;
    ok(await alice.call("PUT", `${path}/size1`, { a: "x".repeat(64_900) }));
    refused(
      await alice.call("PUT", `${path}/size2`, { a: "x".repeat(65_536) }),
      413,
      "M_TOO_LARGE",
    );
    // Canonical JSON counts in UTF-8: 22,000 characters of 3 bytes are too many.
    refused(
      await alice.call("PUT", `${path}/size3`, { a: "€".repeat(22_000) }),
      413,
      "M_TOO_LARGE",
    );
    // Written with escapes it is longer on the wire than as an event, and fits.
    ok(await alice.call("PUT", `${path}/size4`, `{"a":"${"\\u0061".repeat(20_000)}"}`));
    refused(
      await alice.call("PUT", `${path}/size5`, { a: "x".repeat(3_000_000) }),
      413,
      "M_TOO_LARGE",
    );
    refused(
      await alice.call("PUT", `rooms/${room}/send/${"t".repeat(256)}/1`, {}),
      413,
      "M_TOO_LARGE",
    );
  });

  await t.step("state keys: other people's, with slashes, dots and Unicode", async () => {
    const state = `rooms/${room}/state/m.key`;
    refused(await alice.call("PUT", `${state}/${id(bob.id)}`, {}), 403, "M_FORBIDDEN");
    refused(await alice.call("PUT", `${state}/@`, {}), 403, "M_FORBIDDEN");
    refused(await alice.call("PUT", `${state}/%40bob%3Abureau.local`, {}), 403, "M_FORBIDDEN");
    ok(await alice.call("PUT", `${state}/${id(alice.id)}`, { mine: 1 }));
    const long = "é".repeat(127);
    // Raw bytes on the wire: fetch() would take `.` and `..` out of a path before it is sent.
    const at = (key: string) => `/_matrix/client/v3/${state}/${key}`;
    const put = (key: string, value: string) =>
      raw(server.url, "PUT", at(key), auth, new TextEncoder().encode(JSON.stringify({ value })));
    for (
      const [name, forms] of Object.entries({
        "": [""],
        "a/b": ["a/b", "a%2Fb", "a%2fb"],
        "/": ["%2F", "/"],
        "//": ["%2F%2F"],
        ".": ["%2E", "."],
        "..": ["%2E%2E", "%2e%2e", ".."],
        "a/../b": ["a%2F..%2Fb", "a/../b", "a/%2e%2e/b"],
        "a/./b": ["a%2F.%2Fb", "a/./b"],
        "%": ["%25"],
        "%2F": ["%252F"],
        "?#": ["%3F%23"],
        "é": ["%C3%A9"],
        "😀": ["%F0%9F%98%80"],
        " +": ["%20+", "%20%2B"],
        "\\": ["%5C", "\\"],
        [long]: [id(long)],
        "__proto__": ["__proto__"],
      })
    ) {
      for (const form of forms) {
        const what = `key ${JSON.stringify(name)} as ${form}`;
        const done = await put(form, form);
        assert.equal(done.status, 200, `${what}: ${JSON.stringify(done.body)}`);
        const event = ok(await alice.call("GET", `rooms/${room}/event/${id(done.body.event_id)}`));
        assert.equal(event.state_key, name, what);
        for (const other of forms) {
          const read = await raw(server.url, "GET", at(other), auth);
          assert.deepEqual(read.body, { value: form }, `${what}, read as ${other}`);
        }
      }
    }
    // SQLite ends a text at a NUL when it is read back: the event would be of another type or key.
    refused(await put("%00", "x"), 400, "M_INVALID_PARAM");
    refused(
      await bob.call("PUT", `rooms/${room}/send/m.room.member%00/1`, { membership: "join" }),
      400,
      "M_INVALID_PARAM",
    );
    refused(
      await alice.call("POST", "createRoom", {
        initial_state: [{ type: "m.room.topic\0x", content: {} }],
      }),
      400,
      "M_INVALID_PARAM",
    );
    refused(await put("%", "x"), 404, "M_UNRECOGNIZED");
    refused(await put("%C3", "x"), 404, "M_UNRECOGNIZED");
    refused(await put(id("é".repeat(128)), "x"), 413, "M_TOO_LARGE");
  });

  await t.step("dots in a path lead to no other resource", async () => {
    const hidden = await newRoom(bob, { preset: "private_chat" });
    for (const dots of ["..", "%2e%2e", "%2E.", ".%2e"]) {
      const path = `/_matrix/client/v3/rooms/${room}/${dots}/${hidden}/state`;
      const reply = await raw(server.url, "GET", path, auth);
      assert.ok(reply.status >= 400, `${dots}: ${reply.status}`);
    }
  });

  await t.step("tokens: forged, logged out, in odd forms", async () => {
    for (
      const token of [
        "x",
        "",
        "null",
        alice.token.slice(1),
        alice.token + "x",
        "x".repeat(5_000),
        "' OR 1=1 --",
      ]
    ) {
      const { status, body } = await server.call("GET", "account/whoami", token);
      assert.equal(status, 401, token.slice(0, 40));
      assert.match(body.errcode, /^M_(UNKNOWN|MISSING)_TOKEN$/);
    }
    for (const value of ["Basic eDp5", "Bearer", "Bearer  ", alice.token, `Token ${alice.token}`]) {
      const reply = await raw(server.url, "GET", "/_matrix/client/v3/account/whoami", {
        authorization: value,
      });
      assert.equal(reply.status, 401, value.slice(0, 12));
    }
    const credentials = {
      type: "m.login.password",
      identifier: { type: "m.id.user", user: "bob" },
      password: "password of bob",
    };
    const { access_token: phone } = ok(await server.call("POST", "login", undefined, credentials));
    ok(await server.call("GET", "account/whoami", phone));
    ok(await server.call("POST", "logout", phone, {}));
    refused(await server.call("GET", "account/whoami", phone), 401, "M_UNKNOWN_TOKEN");
    refused(
      await server.call("PUT", `rooms/${room}/send/m.x/dead`, phone, {}),
      401,
      "M_UNKNOWN_TOKEN",
    );
  });

  await t.step("a transaction replayed with other content, path, device", async () => {
    const path = (name: string, type = "m.x") => `rooms/${room}/send/${type}/${name}`;
    const first = ok(await bob.call("PUT", path("t"), { n: 1 })).event_id;
    assert.equal(ok(await bob.call("PUT", path("t"), { n: 2 })).event_id, first);
    assert.equal(ok(await bob.call("PUT", path("%74"), { n: 3 })).event_id, first);
    assert.deepEqual(ok(await bob.call("GET", `rooms/${room}/event/${id(first)}`)).content, {
      n: 1,
    });
    assert.notEqual(ok(await bob.call("PUT", path("t", "m.y"), { n: 1 })).event_id, first);
    assert.notEqual(ok(await alice.call("PUT", path("t"), { n: 1 })).event_id, first);
    const { access_token, device_id } = ok(
      await server.call("POST", "login", undefined, {
        type: "m.login.password",
        identifier: { type: "m.id.user", user: "bob" },
        password: "password of bob",
      }),
    );
    const phone = server.user(bob.id, access_token, device_id);
    assert.notEqual(ok(await phone.call("PUT", path("t"), { n: 1 })).event_id, first);
    // Names that hold the separator of another's: no two transactions share a name.
    const odd = ok(await bob.call("PUT", `rooms/${room}/send/${id("m.a/b")}/c`, {})).event_id;
    assert.notEqual(
      ok(await bob.call("PUT", `rooms/${room}/send/m.a/${id("b/c")}`, {})).event_id,
      odd,
    );
    // A refused one leaves nothing behind.
    refused(await bob.call("PUT", path("late"), '{"n":1.5}'), 400, "M_BAD_JSON");
    ok(await bob.call("PUT", path("late"), { n: 1 }));
  });

  await t.step("since tokens of another life, of the future, and rubbish", async () => {
    const only = `filter=${id(JSON.stringify({ presence: { not_types: ["*"] } }))}`;
    const { next_batch } = ok(await alice.call("GET", `sync?${only}`));
    const [position, epoch] = next_batch.slice(1).split("_");
    for (
      const since of [
        "x",
        "s",
        "s-1",
        "s1_",
        "s1_zzzzzzzz",
        "s1.5",
        "S1",
        "s1;s2",
        " s1",
        "s1_abcdef012",
      ]
    ) {
      refused(await alice.call("GET", `sync?since=${id(since)}`), 400, "M_INVALID_PARAM");
    }
    // The server knows nothing of these positions: it must not wait for them, and tells all.
    for (
      const since of [
        `s${Number(position) + 1_000}_${epoch}`,
        `s999999999999999_${epoch}`,
        `s${position}_00000000`,
      ]
    ) {
      const body = ok(await alice.call("GET", `sync?timeout=60000&${only}&since=${since}`));
      assert.ok(body.rooms.join[decodeURIComponent(room)].state.events.length > 0, since);
    }
  });

  await t.step("huge headers, paths and queries", async () => {
    const path = "/_matrix/client/v3/account/whoami";
    const many: Record<string, string> = { ...auth };
    for (let i = 0; i < 2_000; i++) many[`x-${i}`] = "v";
    for (
      const [name, request] of Object.entries({
        "one header of 1 MB": () =>
          raw(server.url, "GET", path, { ...auth, "x-big": "v".repeat(1_000_000) }),
        "2,000 headers": () => raw(server.url, "GET", path, many),
        "a path of 1 MB": () => raw(server.url, "GET", `${path}/${"a".repeat(1_000_000)}`, auth),
        "a query of 1 MB": () => raw(server.url, "GET", `${path}?a=${"a".repeat(1_000_000)}`, auth),
      })
    ) {
      const reply = await request();
      // 0: the connection was closed, which is an answer too.
      assert.ok([0, 400, 414, 431].includes(reply.status), `${name}: ${reply.status}`);
    }
    const slashes = await raw(server.url, "GET", `/_matrix/client/v3/${"/".repeat(30_000)}`, auth);
    refused(slashes, 404, "M_UNRECOGNIZED");
    const segments = await raw(
      server.url,
      "GET",
      `/_matrix/client/v3${"/rooms".repeat(5_000)}`,
      auth,
    );
    assert.ok([404, 405].includes(segments.status));
  });

  await t.step("lengths that lie, and bytes that are no HTTP", async () => {
    const path = `/_matrix/client/v3/rooms/${room}/send/m.x`;
    const body = new TextEncoder().encode('{"a":1}');
    const send = (txn: string, headers: Record<string, string>, bytes = body) =>
      raw(server.url, "PUT", `${path}/${txn}`, { ...auth, ...headers }, bytes);
    refused(await send("lie1", { "content-length": "999999999" }), 413, "M_TOO_LARGE");
    for (const length of ["-1", "x", "7, 8", "99999999999999999999999"]) {
      const { status } = await send("lie2", { "content-length": length });
      assert.ok([0, 400, 413].includes(status), `${length}: ${status}`);
    }
    // Shorter than what comes: the event is the first bytes, which are no JSON, and nothing is smuggled.
    refused(await send("lie3", { "content-length": "3" }), 400, "M_NOT_JSON");
    const both = await send("lie4", { "content-length": "7", "transfer-encoding": "chunked" });
    assert.ok([0, 400].includes(both.status), `both: ${both.status}`);
    // Longer than what comes, then the client leaves: no event, nobody waits.
    await sendAndVanish(
      server.url,
      "PUT",
      `${path}/lie5`,
      { ...auth, "content-length": "100" },
      body,
    );
    const chunked = (text: string) =>
      send("lie6", { "transfer-encoding": "chunked" }, new TextEncoder().encode(text));
    assert.ok([0, 400, 500].includes((await chunked("zz\r\n{}\r\n0\r\n\r\n")).status));
    const endless = `${"2000\r\n" + "x".repeat(0x2000) + "\r\n"}`.repeat(40);
    assert.ok([0, 413].includes((await chunked(endless)).status));
    for (
      const text of [
        "\0\0\0\0\r\n\r\n",
        "GET\r\n\r\n",
        "\x16\x03\x01\x02\x00\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
      ]
    ) {
      const { status } = await raw(server.url, "", "", {}, new TextEncoder().encode(text));
      assert.ok([0, 400, 404, 505].includes(status), `${JSON.stringify(text)}: ${status}`);
    }
    const sent = ok(await alice.call("GET", `rooms/${room}/messages?dir=b&limit=100`)).chunk;
    for (const event of sent) assert.doesNotMatch(String(event.unsigned?.transaction_id), /^lie/);
  });

  await t.step("slow clients hold their connection and nothing else", async () => {
    const before = await sockets(pid);
    const { hostname, port } = new URL(server.url);
    const open: Deno.Conn[] = [];
    try {
      for (let i = 0; i < 200; i++) {
        const conn = await Deno.connect({ hostname, port: Number(port) });
        open.push(conn);
        const head =
          `PUT /_matrix/client/v3/rooms/${room}/send/m.slow/${i} HTTP/1.1\r\nhost: x\r\n`;
        // One half stops within the headers, the other within the body.
        const rest = i % 2 === 0
          ? "authori"
          : `authorization: Bearer ${alice.token}\r\ncontent-length: 1000\r\n\r\n{`;
        await conn.write(new TextEncoder().encode(head + rest));
      }
      await until("200 slow clients", async () => await sockets(pid) >= before + 200);
      for (let i = 0; i < 20; i++) {
        ok(await bob.call("PUT", `rooms/${room}/send/m.x/quick${i}`, { i }));
      }
    } finally {
      for (const conn of open) conn.close();
    }
    await until("slow clients are forgotten", async () => await sockets(pid) <= before + 5);
  });

  await t.step("polls whose client vanishes are freed", async () => {
    const before = await sockets(pid);
    const { next_batch } = ok(await bob.call("GET", "sync"));
    const { hostname, port } = new URL(server.url);
    for (let round = 0; round < 5; round++) {
      const open: Deno.Conn[] = [];
      for (let i = 0; i < 100; i++) {
        const conn = await Deno.connect({ hostname, port: Number(port) });
        open.push(conn);
        await conn.write(new TextEncoder().encode(
          `GET /_matrix/client/v3/sync?timeout=120000&since=${next_batch} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${bob.token}\r\n\r\n`,
        ));
      }
      await until("100 polls", async () => await sockets(pid) >= before + 100);
      for (const conn of open) conn.close();
      await until(
        "vanished clients' sockets are closed",
        async () => await sockets(pid) <= before + 5,
      );
    }
  });

  await t.step("after all of it an ordinary client is served, and memory is bounded", async () => {
    const { next_batch } = ok(await bob.call("GET", "sync"));
    const poll = bob.call("GET", `sync?timeout=60000&since=${next_batch}`);
    const sent = ok(await alice.call("PUT", `rooms/${room}/send/m.x/end`, { end: true })).event_id;
    const events = ok(await poll).rooms.join[decodeURIComponent(room)].timeline.events;
    assert.ok(events.some((event: { event_id: string }) => event.event_id === sent));
    const grown = await residentMb(pid) - memoryBefore;
    assert.ok(grown < 120, `resident memory grew by ${grown.toFixed(0)} MB`);
  });
});

Deno.test("homeserver forgets polls whose client left, and holds so many of one account", async () => {
  const stateDir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  const server = startHomeserver({
    version: 1,
    listen: { hostname: "127.0.0.1", port: 0 },
    server_name: "x",
    state_dir: stateDir,
    registration_shared_secret: SECRET,
  });
  const open: Deno.Conn[] = [];
  const closeAll = () => {
    for (const conn of open.splice(0)) conn.close();
  };
  try {
    const user = await registerAt(server.url, "alice");
    // Without presence: that they are online would be news for themselves.
    const filter = id(JSON.stringify({ presence: { not_types: ["*"] } }));
    const { next_batch } = ok(await user.call("GET", `sync?filter=${filter}`));
    const { hostname, port } = new URL(server.url);
    const query = `timeout=120000&filter=${filter}&since=${next_batch}`;
    const request = new TextEncoder().encode(
      `GET /_matrix/client/v3/sync?${query} HTTP/1.1\r\nhost: x\r\n` +
        `authorization: Bearer ${user.token}\r\n\r\n`,
    );
    const poll = async () => {
      const conn = await Deno.connect({ hostname, port: Number(port) });
      open.push(conn);
      await conn.write(request);
      return conn;
    };
    for (let i = 0; i < 50; i++) await poll();
    await until("50 polls wait", () => server.waitingPolls === 50);
    closeAll();
    await until("no poll waits", () => server.waitingPolls === 0);

    const first = await poll();
    await until("the first poll waits", () => server.waitingPolls === 1);
    for (let i = 1; i < MAX_POLLS; i++) await poll();
    await until("as many polls as may", () => server.waitingPolls === MAX_POLLS);
    await poll();
    // The oldest made room: it has an answer, long before its time.
    const answer = new Uint8Array(4_096);
    const count = await first.read(answer);
    assert.match(new TextDecoder().decode(answer.subarray(0, count ?? 0)), /^HTTP\/1\.1 200 OK/);
    await until("as many polls as may", () => server.waitingPolls === MAX_POLLS);
    closeAll();
    await until("no poll waits", () => server.waitingPolls === 0);
  } finally {
    closeAll();
    await server.close();
    await Deno.remove(stateDir, { recursive: true });
  }
});
