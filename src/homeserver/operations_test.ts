// SPDX-License-Identifier: Apache-2.0

/** Statistics, backup, restore and compaction of the real process, with its own permissions. */
import assert from "node:assert/strict";
import { Server, type User } from "./_process.ts";

const OPERATIONS = "/_bureau/homeserver/v1";

async function makeRoom(user: User, messages: number): Promise<string> {
  const { body: { room_id } } = await user.call("POST", "createRoom", {});
  const room = encodeURIComponent(room_id);
  for (let n = 0; n < messages; n++) {
    const { status } = await user.call("PUT", `rooms/${room}/send/m.room.message/t${n}`, {
      msgtype: "m.text",
      body: `message ${n}`,
    });
    assert.equal(status, 200);
  }
  return room;
}

async function upload(server: Server, user: User, text: string): Promise<string> {
  const answer = await fetch(`${server.url}/_matrix/media/v3/upload`, {
    method: "POST",
    headers: { authorization: `Bearer ${user.token}`, "content-type": "text/plain" },
    body: text,
  });
  return (await answer.json()).content_uri.replace("mxc://", "");
}

Deno.test("operations are for admins only", async () => {
  await using server = await Server.start();
  const user = await server.register("user");
  for (
    const [method, name] of [["GET", "stats"], ["GET", "metrics"], ["POST", "backup"], [
      "POST",
      "compact",
    ]]
  ) {
    assert.equal((await server.call(method!, `${OPERATIONS}/${name}`)).status, 401);
    const refused = await user.call(method!, `${OPERATIONS}/${name}`);
    assert.equal(refused.status, 403);
    assert.equal(refused.body.errcode, "M_FORBIDDEN");
  }
});

Deno.test("stats and metrics count what happened, and name no room and nobody", async () => {
  await using server = await Server.start();
  const admin = await server.register("zebra", true);
  const room = await makeRoom(admin, 3);
  await admin.call("GET", "sync");
  await admin.call("GET", "/_matrix/client/v3/no/such/path/secret-name");
  const { body: stats } = await admin.call("GET", `${OPERATIONS}/stats`);
  const count = (route: string, status: number) =>
    stats.requests.find((entry: { route: string; status: number }) =>
      entry.route === route && entry.status === status
    )?.count;
  assert.equal(count("/_matrix/client/v3/rooms/:roomId/send/:type/:txnId", 200), 3);
  assert.equal(count("unknown", 404), 1);
  assert.equal(stats.database.rows.rooms, 1);
  assert.equal(stats.database.rows.users, 1);
  assert.ok(stats.database.writes >= 5 && stats.database.commits <= stats.database.writes);
  assert.ok(stats.database.bytes > 0);
  assert.ok(stats.sync.answered >= 1);
  const answer = await fetch(`${server.url}${OPERATIONS}/metrics`, {
    headers: { authorization: `Bearer ${admin.token}` },
  });
  assert.match(answer.headers.get("content-type")!, /^text\/plain; version=0\.0\.4/);
  const text = await answer.text();
  assert.match(
    text,
    /^bureau_homeserver_requests_total\{method="PUT",route="\/_matrix\/client\/v3\/rooms\/:roomId\/send\/:type\/:txnId",status="200"\} 3$/m,
  );
  for (const name of [room, decodeURIComponent(room), "zebra", "secret-name"]) {
    assert.ok(!text.includes(name), name);
  }
  for (const line of text.trimEnd().split("\n")) {
    assert.match(line, /^(# (HELP|TYPE) \w+ .+|\w+(\{.*\})? \d+(\.\d+)?)$/, line);
  }
});

Deno.test("the machine scrapes with a token that opens nothing else, and only where one was given", async () => {
  const ask = (server: Server, path: string, token: string) =>
    fetch(`${server.url}${OPERATIONS}${path}`, { headers: { authorization: `Bearer ${token}` } });
  await using server = await Server.start({ metrics_token: "scrape-me" });
  const answer = await ask(server, "/scrape", "scrape-me");
  assert.match(await answer.text(), /^bureau_homeserver_commits_total \d/m);
  for (
    const [path, token, status] of [
      ["/scrape", "scrape-you", 403],
      ["/scrape", "", 403],
      ["/metrics", "scrape-me", 401],
      ["/stats", "scrape-me", 401],
    ] as const
  ) {
    const refused = await ask(server, path, token);
    assert.equal(refused.status, status, `${path} ${token}`);
    await refused.body?.cancel();
  }
  await using closed = await Server.start();
  const none = await ask(closed, "/scrape", "");
  assert.equal(none.status, 403);
  await none.body?.cancel();
});

Deno.test("a backup under load is whole, private, and can be started from", async () => {
  await using server = await Server.start();
  const admin = await server.register("admin", true);
  const room = await makeRoom(admin, 5);
  const media = await upload(server, admin, "a file");
  // Of a backup that a kill interrupted.
  await Deno.mkdir(`${server.stateDir}/backups/old.part`, { recursive: true });
  const writing = new AbortController();
  let written = 0;
  const writer = (async () => {
    while (!writing.signal.aborted) {
      const txn = `w${written++}`;
      await admin.call("PUT", `rooms/${room}/send/m.room.message/${txn}`, { body: txn });
    }
  })();
  const { status, body: made } = await admin.call("POST", `${OPERATIONS}/backup`);
  writing.abort();
  await writer;
  assert.equal(status, 200, JSON.stringify(made));
  assert.equal(made.media_files, 1);
  assert.equal((await Deno.stat(`${made.path}/homeserver.db`)).mode! & 0o777, 0o600);
  assert.equal((await Deno.stat(made.path)).mode! & 0o077, 0);
  const names = [...Deno.readDirSync(`${server.stateDir}/backups`)].map(({ name }) => name);
  assert.deepEqual(names, [made.path.split("/").at(-1)]);

  const restored = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  await Deno.copyFile(`${made.path}/homeserver.db`, `${restored}/homeserver.db`);
  await Deno.mkdir(`${restored}/media`);
  for (const { name } of Deno.readDirSync(`${made.path}/media`)) {
    await Deno.copyFile(`${made.path}/media/${name}`, `${restored}/media/${name}`);
  }
  await using second = await Server.start({}, restored);
  const again = second.user(admin.id, admin.token, admin.device);
  const { body: page } = await again.call(
    "GET",
    `rooms/${room}/messages?dir=f&limit=10&filter=${
      encodeURIComponent(JSON.stringify({ types: ["m.room.message"] }))
    }`,
  );
  assert.deepEqual(
    page.chunk.slice(0, 5).map((event: { content: { body: string } }) => event.content.body),
    ["message 0", "message 1", "message 2", "message 3", "message 4"],
  );
  const file = await fetch(`${second.url}/_matrix/client/v1/media/download/${media}`, {
    headers: { authorization: `Bearer ${admin.token}` },
  });
  assert.equal(await file.text(), "a file");
  const sent = await again.call("PUT", `rooms/${room}/send/m.room.message/new`, { body: "on" });
  assert.equal(sent.status, 200);

  // Of many the newest stay, and what is no backup stays too.
  await Deno.mkdir(`${server.stateDir}/backups/mine`);
  for (const keep of ["0", "-1", "x"]) {
    const refused = await admin.call("POST", `${OPERATIONS}/backup?keep=${keep}`);
    assert.equal(refused.status, 400);
  }
  const { body: other } = await admin.call("POST", `${OPERATIONS}/backup?keep=2`);
  assert.equal(other.removed, 0);
  const { body: third } = await admin.call("POST", `${OPERATIONS}/backup?keep=1`);
  assert.equal(third.removed, 2);
  assert.deepEqual(
    [...Deno.readDirSync(`${server.stateDir}/backups`)].map(({ name }) => name).sort(),
    [third.path.split("/").at(-1), "mine"].sort(),
  );
});

Deno.test("compaction gives room back, keeps what is there, and removes broken-off uploads", async () => {
  await using server = await Server.start();
  const admin = await server.register("admin", true);
  const big = await makeRoom(admin, 1);
  for (let n = 0; n < 60; n++) {
    await admin.call("PUT", `rooms/${big}/send/m.room.message/b${n}`, { body: "x".repeat(40_000) });
  }
  const kept = await makeRoom(admin, 2);
  const media = await upload(server, admin, "kept");
  const stray = `${server.stateDir}/media/strayfile`;
  const young = `${server.stateDir}/media/youngfile`;
  await Deno.writeTextFile(stray, "half");
  await Deno.utime(stray, 1_000_000_000, 1_000_000_000);
  await Deno.writeTextFile(young, "being uploaded");
  assert.equal(
    (await admin.call("DELETE", `/_synapse/admin/v1/rooms/${big}`, { purge: true })).status,
    200,
  );
  const { status, body } = await admin.call("POST", `${OPERATIONS}/compact`);
  assert.equal(status, 200, JSON.stringify(body));
  assert.equal(body.removed.media_files, 1);
  assert.ok(body.bytes_after < body.bytes_before / 3, JSON.stringify(body));
  const { body: page } = await admin.call("GET", `rooms/${kept}/messages?dir=b&limit=2`);
  assert.equal(page.chunk.length, 2);
  assert.deepEqual(
    [...Deno.readDirSync(`${server.stateDir}/media`)].map(({ name }) => name).sort(),
    [media.split("/")[1]!, "youngfile"].sort(),
  );
  // The statements of before serve the database of after.
  assert.equal((await admin.call("GET", "sync")).status, 200);
  await server.kill();
});
