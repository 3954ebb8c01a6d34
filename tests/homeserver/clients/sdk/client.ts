// SPDX-License-Identifier: Apache-2.0

/**
 * matrix-js-sdk, the client that Element is made of, against a homeserver: `client.ts URL` with a registration token on
 * stdin; or `client.ts URL ALICE-URL BOB-URL` through two principals' proxies, with their users on stdin. A program of its own, because the SDK's timers keep a process for minutes after its end. Prints one JSON line:
 * what was checked, each endpoint that answered 404, and what the SDK logged as an error.
 */
import assert from "node:assert/strict";
import * as sdk from "matrix-js-sdk";
import { registerWithToken } from "../../registration.ts";

const [url, ...proxies] = Deno.args as [string, ...string[]];
const token = (await new Response(Deno.stdin.readable).text()).trim();

const missing = new Set<string>();
const errors: string[] = [];
const checked: string[] = [];

console.error = (...words: unknown[]) => errors.push(words.map(String).join(" "));
console.log =
  console.info =
  console.warn =
  console.debug =
  console.trace =
    () => {};
globalThis.addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  errors.push(`unhandled: ${event.reason}`);
});

/** The SDK's fetch, noting what the homeserver does not have. */
const watched: typeof fetch = async (input, init) => {
  const response = await fetch(input, init);
  if (response.status === 404 || response.status === 405) {
    const body = await response.clone().json().catch(() => ({}));
    if (body.errcode === "M_UNRECOGNIZED") {
      missing.add(`${init?.method ?? "GET"} ${new URL(String(input)).pathname}`);
    }
  }
  return response;
};

/** Where the user is, and who. Behind a proxy any password is right. */
async function account(name: string): Promise<[url: string, localpart: string, password: string]> {
  const at = name === "alice" ? 0 : 1;
  const proxy = proxies[at];
  if (proxy !== undefined) return [proxy, token.split(" ")[at]!, "any"];
  const localpart = `${name}-${crypto.getRandomValues(new Uint8Array(4)).toHex()}`;
  return [url, localpart, (await registerWithToken(url, localpart, token)).password];
}

async function open(name: string): Promise<sdk.MatrixClient> {
  const [baseUrl, user, password] = await account(name);
  const login = await sdk.createClient({ baseUrl, fetchFn: watched }).loginRequest({
    type: "m.login.password",
    identifier: { type: "m.id.user", user },
    password,
  });
  const client = sdk.createClient({
    baseUrl,
    fetchFn: watched,
    accessToken: login.access_token,
    userId: login.user_id,
    deviceId: login.device_id,
    timelineSupport: true,
  });
  await client.startClient({ lazyLoadMembers: true, threadSupport: true, initialSyncLimit: 10 });
  return client;
}

async function until<T>(what: string, check: () => T | null | undefined | false): Promise<T> {
  const deadline = Date.now() + 30_000;
  while (Date.now() < deadline) {
    const value = check();
    if (value) return value;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`${what}: not within 30 s`);
}

async function check(what: string, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (thrown) {
    throw new Error(`${what}: ${thrown instanceof Error ? thrown.stack : thrown}`);
  }
  checked.push(what);
}

const text = (body: string) => ({ msgtype: sdk.MsgType.Text as const, body });

async function play(): Promise<void> {
  const [alice, bob] = await Promise.all([open("alice"), open("bob")]);
  for (const client of [alice, bob]) {
    await until("the first sync", () => client.isInitialSyncComplete());
  }
  const [me, other] = [alice.getUserId()!, bob.getUserId()!];
  const { room_id: id } = await alice.createRoom({
    preset: sdk.Preset.PrivateChat,
    name: "SDK",
    invite: [other],
  });
  const room = await until("the room", () => alice.getRoom(id));

  await check("invitation and join", async () => {
    await until("the invitation", () => bob.getRoom(id)?.getMyMembership() === "invite");
    await bob.joinRoom(id);
    await until("bob in the room", () => bob.getRoom(id)?.getMyMembership() === "join");
    await until("alice sees bob", () => room.getMember(other)?.membership === "join");
    assert.equal(room.name, "SDK");
  });
  const theirs = bob.getRoom(id)!;
  let root = "";
  const inTimeline = (event: string) => () => theirs.findEventById(event);

  await check("messages", async () => {
    root = (await alice.sendMessage(id, text("hello"))).event_id;
    const event = await until("the message", inTimeline(root));
    assert.equal(event.getContent()["body"], "hello");
  });
  await check("edits", async () => {
    await alice.sendEvent(id, sdk.EventType.RoomMessage, {
      ...text("* better"),
      "m.new_content": text("better"),
      "m.relates_to": { rel_type: sdk.RelationType.Replace, event_id: root },
      // The SDK's type of an edit wants more than Matrix does.
    } as never);
    await until("the edit", () => theirs.findEventById(root)?.getContent()["body"] === "better");
  });
  await check("reactions", async () => {
    const { event_id } = await bob.sendEvent(id, sdk.EventType.Reaction, {
      "m.relates_to": { rel_type: sdk.RelationType.Annotation, event_id: root, key: "+1" },
    });
    const relations = () =>
      room.relations.getChildEventsForEvent(root, "m.annotation", "m.reaction")
        ?.getSortedAnnotationsByKey()?.[0];
    await until("the reaction", () => relations()?.[0] === "+1");
    await bob.redactEvent(id, event_id);
    await until("its redaction", () => (relations()?.[1].size ?? 0) === 0);
  });
  await check("threads", async () => {
    const reply = await bob.sendEvent(id, sdk.EventType.RoomMessage, {
      ...text("in the thread"),
      "m.relates_to": { rel_type: "m.thread", event_id: root },
    } as never);
    const thread = await until("the thread", () => room.getThread(root));
    await until("its reply", () => thread.findEventById(reply.event_id));
    await until("its length", () => thread.length === 1);
    await alice.getRoom(id)!.createThreadsTimelineSets();
    await alice.getRoom(id)!.fetchRoomThreads();
  });
  await check("redaction", async () => {
    const { event_id } = await alice.sendMessage(id, text("a secret"));
    await until("the message", inTimeline(event_id));
    await alice.redactEvent(id, event_id);
    await until("its redaction", () => theirs.findEventById(event_id)?.isRedacted());
  });
  await check("receipts and unread counts", async () => {
    const { event_id } = await alice.sendMessage(id, text("read me"));
    const event = await until("the message", inTimeline(event_id));
    await until("the count", () => (theirs.getUnreadNotificationCount() ?? 0) > 0);
    await bob.sendReadReceipt(event);
    await until("the receipt", () => room.hasUserReadEvent(other, event_id));
    await until("no count", () => theirs.getUnreadNotificationCount() === 0);
  });
  await check("typing", async () => {
    await bob.sendTyping(id, true, 20_000);
    await until("bob types", () => room.getMember(other)?.typing);
    await bob.sendTyping(id, false, 0);
    await until("bob stops", () => !room.getMember(other)?.typing);
  });
  await check("presence", async () => {
    await bob.setPresence({ presence: "online", status_msg: "busy" });
    await until("bob's presence", () => alice.getUser(other)?.presenceStatusMsg === "busy");
  });
  await check("profiles", async () => {
    await bob.setDisplayName("Bob B.");
    await until("the new name", () => room.getMember(other)?.name === "Bob B.");
    assert.equal((await alice.getProfileInfo(other)).displayname, "Bob B.");
  });
  await check("media", async () => {
    const body = new Blob(["a picture"], { type: "text/plain" });
    const { content_uri } = await alice.uploadContent(body, { name: "a.txt" });
    const http = bob.mxcUrlToHttp(content_uri, undefined, undefined, undefined, false, true, true);
    const headers = { authorization: `Bearer ${bob.getAccessToken()}` };
    assert.equal(await (await fetch(http!, { headers })).text(), "a picture");
  });
  await check("state of one's own type, account data, tags", async () => {
    await alice.sendStateEvent(id, "org.example.state" as never, { v: 1 } as never, "key");
    await until("the state", () => theirs.currentState.getStateEvents("org.example.state", "key"));
    await alice.setAccountData("org.example.data" as never, { v: 1 } as never);
    await alice.setRoomTag(id, "m.favourite", { order: 0.5 });
    await until("the tag", () => room.tags["m.favourite"]);
  });
  await check("lazy members and paging back", async () => {
    for (let n = 0; n < 15; n++) await alice.sendMessage(id, text(`m${n}`));
    const late = await bob.scrollback(theirs, 30);
    assert.ok(late.timeline.length > 10);
    await theirs.loadMembersIfNeeded();
    assert.equal(theirs.getJoinedMemberCount(), 2);
  });
  await check("spaces", async () => {
    const space = await alice.createRoom({
      creation_content: { type: "m.space" },
      name: "Space",
      preset: sdk.Preset.PrivateChat,
    });
    const via = [me.slice(me.indexOf(":") + 1)];
    await alice.sendStateEvent(space.room_id, sdk.EventType.SpaceChild, { via }, id);
    const { rooms } = await alice.getRoomHierarchy(space.room_id, 10, 2);
    assert.deepEqual(rooms.map((one) => one.room_id), [space.room_id, id]);
  });
  await check("search, where the homeserver has it", async () => {
    const word = `needle${Date.now()}`;
    await alice.sendMessage(id, text(`a ${word}`));
    const found = await alice.searchRoomEvents({ term: word }).catch((thrown) => {
      if (thrown instanceof sdk.MatrixError && thrown.errcode === "M_UNRECOGNIZED") return null;
      throw thrown;
    });
    if (found !== null) assert.equal(found.results.length, 1);
  });
  await check("leaving", async () => {
    await bob.leave(id);
    await until("bob is out", () => room.getMember(other)?.membership === "leave");
    await until("bob knows", () => bob.getRoom(id)?.getMyMembership() !== "join");
  });
  for (const client of [alice, bob]) client.stopClient();
}

let failure: string | null = null;
try {
  await play();
} catch (thrown) {
  failure = thrown instanceof Error ? thrown.message : String(thrown);
}
const line = JSON.stringify({ failure, checked, missing: [...missing].sort(), errors });
await Deno.stdout.write(new TextEncoder().encode(`${line}\n`));
Deno.exit(0);
