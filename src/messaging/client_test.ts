// SPDX-License-Identifier: Apache-2.0

/** The client against the embedded homeserver, as its own process. */
import assert from "node:assert/strict";
import { SECRET, Server } from "../homeserver/_process.ts";
import {
  createMatrixClient,
  hasErrcode,
  login,
  type MatrixClient,
  MessagingError,
  registerWithSharedSecret,
  RoomStates,
  runSync,
  type SyncBatch,
  type SyncPosition,
} from "./mod.ts";

async function account(server: Server, user: string): Promise<MatrixClient & { id: string }> {
  const password = `password of ${user}`;
  const options = { homeserverUrl: server.url };
  const session = await registerWithSharedSecret(options, { user, password }, SECRET);
  const client = createMatrixClient({ ...options, accessToken: session.access_token });
  return Object.assign(client, { id: session.user_id });
}

async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + 15_000;
  while (!condition()) {
    if (Date.now() > end) throw new Error("the condition did not come true");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

Deno.test("MatrixClient does what Bureau asks of a homeserver", async (t) => {
  await using server = await Server.start();
  const operator = await account(server, "operator");
  const machine = await account(server, "bureau/fleet/dev/machine/one");

  await t.step("login() gives a session of the account", async () => {
    const session = await login({ homeserverUrl: server.url }, {
      user: "operator",
      password: "password of operator",
    });
    const client = createMatrixClient({
      homeserverUrl: server.url,
      accessToken: session.access_token,
    });
    assert.equal((await client.whoami()).user_id, operator.id);
    await client.logout();
    await assert.rejects(client.whoami(), (thrown) => hasErrcode(thrown, "M_UNKNOWN_TOKEN"));
  });

  await t.step("login() says so when the password is wrong", async () => {
    await assert.rejects(
      login({ homeserverUrl: server.url }, { user: "operator", password: "no" }),
      (thrown) => hasErrcode(thrown, "M_FORBIDDEN"),
    );
  });

  const alias = "bureau/fleet/dev/machine/one";
  const room = await operator.createRoom({ room_alias_name: alias, invite: [machine.id] });

  await t.step("resolveAlias() finds the room, and null when there is none", async () => {
    assert.equal(await machine.resolveAlias(`#${alias}:bureau.local`), room);
    assert.equal(await machine.resolveAlias("#bureau/none:bureau.local"), null);
  });

  await t.step("join() takes an alias", async () => {
    assert.equal(await machine.join(`#${alias}:bureau.local`), room);
    assert.deepEqual((await operator.members(room)).sort(), [machine.id, operator.id].sort());
    assert.deepEqual(await machine.joinedRooms(), [room]);
  });

  await t.step("putState() makes no event when the content is equal", async () => {
    const key = "bureau/fleet/dev/agent/a%2Fb:bureau.local";
    assert.equal(await operator.getState(room, "m.bureau.template", key), null);
    const first = await operator.putState(room, "m.bureau.template", key, { a: 1, b: [2] });
    assert.match(first ?? "", /^\$/);
    assert.deepEqual(await operator.getState(room, "m.bureau.template", key), { a: 1, b: [2] });
    assert.equal(await operator.putState(room, "m.bureau.template", key, { b: [2], a: 1 }), null);
    assert.match(await operator.putState(room, "m.bureau.template", key, {}) ?? "", /^\$/);
  });

  await t.step("putState() is refused when the level is too low", async () => {
    await assert.rejects(
      machine.putState(room, "m.bureau.template", "x", { a: 1 }),
      (thrown) => hasErrcode(thrown, "M_FORBIDDEN") && thrown.status === 403,
    );
  });

  await t.step("send() sends once when the transaction is repeated", async () => {
    const content = { msgtype: "m.notice", body: "once" };
    const first = await operator.send(room, "m.room.message", content, "txn/1 %2F");
    assert.equal(await operator.send(room, "m.room.message", content, "txn/1 %2F"), first);
    const { chunk } = await operator.messages(room, { limit: 50 });
    assert.equal(chunk.filter((event) => event.content["body"] === "once").length, 1);
  });

  await t.step(
    "runSync() brings state with senders, invitations and the end of membership",
    async () => {
      const states = new RoomStates();
      const batches: SyncBatch[] = [];
      let saved: SyncPosition = {};
      const stop = new AbortController();
      const loop = runSync({
        client: machine,
        userId: machine.id,
        filter: { room: { timeline: { limit: 10 } } },
        store: {
          load: () => Promise.resolve(saved),
          save: (position) => Promise.resolve(void (saved = position)),
        },
        signal: stop.signal,
        onBatch(batch) {
          batches.push(batch);
          for (const { room, state, timeline } of batch.joined) {
            for (const event of [...state, ...timeline]) states.apply(room, event);
          }
          for (const left of batch.left) states.drop(left);
        },
      });
      await until(() => states.has(room));
      assert.equal(batches[0]!.initial, true);
      await operator.putState(room, "m.bureau.x", "k", { n: 1 });
      await until(() => states.get(room, "m.bureau.x", "k") !== undefined);
      const entry = states.get(room, "m.bureau.x", "k");
      assert.deepEqual(entry?.content, { n: 1 });
      assert.equal(entry.sender, operator.id);
      assert.match(entry.eventId ?? "", /^\$/);
      const other = await operator.createRoom({ invite: [machine.id] });
      await until(() => batches.some((batch) => batch.invited.some((one) => one.room === other)));
      const invitation = batches.flatMap((batch) => batch.invited).find((one) =>
        one.room === other
      );
      assert.equal(invitation!.sender, operator.id);
      await operator.kick(room, machine.id, "test");
      await until(() => !states.has(room));
      stop.abort();
      await loop;
      assert.match(saved.since ?? "", /./);
      assert.match(saved.filterId ?? "", /./);
    },
  );

  await t.step("runSync() throws once when the session is revoked", async () => {
    const stop = new AbortController();
    const states: string[] = [];
    let synced = false;
    const loop = runSync({
      client: machine,
      userId: machine.id,
      filter: {},
      store: { load: () => Promise.resolve({}), save: () => Promise.resolve() },
      signal: stop.signal,
      onBatch: () => void (synced = true),
      onHealth: (health) => states.push(health.state),
    });
    const ended = assert.rejects(
      loop,
      (thrown) => thrown instanceof MessagingError && thrown.isAccountLost,
    );
    await until(() => synced);
    await machine.logout();
    await ended;
    assert.equal(states.includes("failing"), false);
  });
});

Deno.test("createMatrixClient() says where and what to check when nobody answers", async () => {
  const client = createMatrixClient({
    homeserverUrl: "http://127.0.0.1:1",
    accessToken: "hunter2",
  });
  await assert.rejects(client.whoami(), (thrown) => {
    assert.ok(thrown instanceof MessagingError && thrown.isPassing);
    assert.match(thrown.message, /http:\/\/127\.0\.0\.1:1/);
    assert.match(thrown.hint ?? "", /curl/);
    assert.doesNotMatch(thrown.message + thrown.hint, /hunter2/);
    return true;
  });
});
