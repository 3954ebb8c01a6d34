// SPDX-License-Identifier: Apache-2.0

/** A stock matrix-js-sdk client. BASE_URL, USER, FRIEND. It logs in as it would anywhere; the password is nobody's. */
import assert from "node:assert/strict";
import * as sdk from "matrix-js-sdk";
import { check, done, thrownBy } from "./checks.mjs";

const { BASE_URL: baseUrl, USER: user, FRIEND: friend } = process.env;
// The SDK tells its story on these; ours is one line.
const say = console.log;
console.debug = console.info = console.warn = console.trace = console.error = () => {};
console.log = (...words) => String(words[0]).startsWith('{"checked"') && say(...words);

const login = await sdk.createClient({ baseUrl }).loginRequest({
  type: "m.login.password",
  identifier: { type: "m.id.user", user },
  password: "none",
});
const client = sdk.createClient({
  baseUrl,
  accessToken: login.access_token,
  userId: login.user_id,
  deviceId: login.device_id,
});

/** Resolves with the first event that `test` likes. */
function heard(test) {
  return new Promise((resolve) => {
    const look = (event) => {
      if (!test(event)) return;
      client.off(sdk.RoomEvent.Timeline, look);
      resolve(event);
    };
    client.on(sdk.RoomEvent.Timeline, look);
  });
}

await check("it is who the socket says", async () => {
  assert.equal(login.user_id, user);
  assert.equal((await client.whoami()).user_id, user);
});

await check("sync", async () => {
  const prepared = new Promise((resolve) =>
    client.on(sdk.ClientEvent.Sync, (state) => state === "PREPARED" && resolve())
  );
  await client.startClient({ lazyLoadMembers: true, initialSyncLimit: 10 });
  await prepared;
});

let room;
await check("a room, a message and its echo", async () => {
  ({ room_id: room } = await client.createRoom({ name: "from the sandbox", invite: [friend] }));
  const echo = heard((event) =>
    event.getRoomId() === room && event.getContent().body === "hello" && !event.status
  );
  const { event_id } = await client.sendTextMessage(room, "hello");
  assert.equal((await echo).getId(), event_id);
  await client.sendEvent(room, "m.reaction", {
    "m.relates_to": { rel_type: "m.annotation", event_id, key: "✅" },
  });
});

await check("what a friend says", async () => {
  const answer = await heard((event) => event.getSender() === friend && event.getContent().body);
  assert.equal(answer.getContent().body, "hello yourself");
  await client.sendReadReceipt(answer);
});

await check("state, profile, media, history", async () => {
  await client.sendStateEvent(room, "m.room.topic", { topic: "words" }, "");
  assert.equal((await client.getStateEvent(room, "m.room.topic", "")).topic, "words");
  await client.setDisplayName("The Agent");
  assert.equal((await client.getProfileInfo(user)).displayname, "The Agent");
  const { content_uri } = await client.uploadContent(new Blob(["some bytes"]), {
    type: "text/plain",
  });
  const address = client.mxcUrlToHttp(content_uri, undefined, undefined, undefined, false, true, true);
  const bytes = await fetch(address, {
    headers: { authorization: `Bearer ${client.getAccessToken()}` },
  });
  assert.equal(await bytes.text(), "some bytes");
  const { chunk } = await client.createMessagesRequest(room, null, 50, sdk.Direction.Backward);
  assert.ok(chunk.some(({ content }) => content.body === "hello"));
});

await check("what is denied, says so", async () => {
  const thrown = await thrownBy(() => client.kick(room, friend, "out"));
  assert.equal(thrown.errcode, "M_FORBIDDEN");
  assert.match(thrown.message, /matrix\/kick/);
  const session = await thrownBy(() => client.setPassword({ type: "m.login.dummy" }, "mine"));
  assert.equal(session.errcode, "M_FORBIDDEN");
});

client.stopClient();
done();
