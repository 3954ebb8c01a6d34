// SPDX-License-Identifier: Apache-2.0

/** `/v1/matrix/events`: what comes, where it resumes, and when it ends. */
import assert from "node:assert/strict";
import { Server } from "../../homeserver/_process.ts";
import { type FollowedEvent, ProxyClientError } from "../../lib/proxyclient/mod.ts";
import { readServerSentEvents } from "../../lib/sse.ts";
import { withAccount } from "../testing/homeserver.ts";
import { withProxy } from "../testing/harness.ts";

const READ = { grants: [{ actions: ["matrix/read", "matrix/send/**", "matrix/create-room"] }] };
const text = (body: string) => ({ msgtype: "m.text", body });

Deno.test("events() brings what happens, and resumes where it was left", async () => {
  await using server = await Server.start();
  const alice = await server.register("alice");
  const bob = await server.register("bob");
  let position = "";
  await withAccount(server, alice, READ, async ({ matrix }) => {
    const room = await matrix.createRoom({ name: "Room" });
    const other = await matrix.createRoom({ name: "Other" });
    const stop = new AbortController();
    const events = matrix.events({ signal: stop.signal, types: ["m.room.*", "org.example.*"] });
    const next = async () => (await events.next()).value as FollowedEvent;
    assert.equal((await next()).kind, "open");
    const first = await matrix.send(room, "m.room.message", text("one"), "1");
    const one = await next();
    assert.ok(one.kind === "event" && one.event.event_id === first && one.room === room);
    // Not asked for.
    await matrix.send(other, "com.example.other", {}, "2");
    const last = await matrix.send(other, "org.example.x", {}, "3");
    const two = await next();
    assert.ok(two.kind === "event" && two.event.event_id === last && two.room === other);
    const invited = (await bob.call("POST", "createRoom", { invite: [alice.id] })).body.room_id;
    const invitation = await next();
    assert.ok(invitation.kind === "invite" && invitation.room === invited);
    position = invitation.position;
    stop.abort();
    assert.equal((await events.next()).done, true);
    await matrix.send(room, "m.room.message", text("while away"), "4");
  });
  // At another proxy, later: what came while nobody followed, and only rooms that are named.
  await withAccount(server, alice, READ, async ({ matrix }) => {
    const stop = new AbortController();
    const [room] = (await Promise.all(
      (await matrix.joinedRooms()).map(async (id) => ({
        id,
        name: (await matrix.getState(id, "m.room.name"))?.["name"],
      })),
    )).filter(({ name }) => name === "Room").map(({ id }) => id);
    const events = matrix.events({ signal: stop.signal, since: position, rooms: [room!] });
    const bodies: unknown[] = [];
    for await (const event of events) {
      assert.ok(event.kind === "open" || (event.kind === "event" && event.room === room));
      if (event.kind === "event") bodies.push(event.event.content["body"]);
      if (bodies.at(-1) === "while away") break;
    }
    stop.abort();
  });
});

Deno.test("events() ends with the rule's name when the grant is taken away", async () => {
  await using server = await Server.start();
  const alice = await server.register("alice");
  await withAccount(server, alice, READ, async ({ matrix }, { admin }) => {
    const room = await matrix.createRoom({});
    const stop = new AbortController();
    const events = matrix.events({ signal: stop.signal });
    assert.equal((await events.next()).value?.kind, "open");
    const grants = [{ actions: ["matrix/send/**"] }];
    const put = { method: "PUT", body: JSON.stringify({ grants, denials: [] }) };
    await (await admin("/v1/grants", put)).body?.cancel();
    // The poll that is under way ends with this, and what it brings is not shown.
    await matrix.send(room, "m.room.message", text("unseen"), "1");
    await assert.rejects(
      events.next(),
      (thrown) =>
        thrown instanceof ProxyClientError && thrown.code === "forbidden" &&
        thrown.message.includes('"matrix/read"'),
    );
    await assert.rejects(
      matrix.events({ signal: stop.signal }).next(),
      (thrown) => thrown instanceof ProxyClientError && thrown.code === "forbidden",
    );
    stop.abort();
  });
});

/** A homeserver that answers `/sync` as `answer` says. */
async function withSync(
  answer: (since: string | null, request: Request) => Promise<Response> | Response,
  body: (harness: Parameters<Parameters<typeof withProxy>[1]>[0]) => Promise<void>,
): Promise<void> {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) => answer(new URL(request.url).searchParams.get("since"), request),
  );
  await withProxy({
    matrix: {
      homeserver_url: `http://127.0.0.1:${server.addr.port}`,
      user_id: "@a:bureau.local",
      access_token: "syt_the_token_of_a",
    },
  }, body);
  await server.shutdown();
}

const batch = (next_batch: string, body = "x") => ({
  next_batch,
  rooms: {
    join: { "!r:x": { timeline: { events: [{ type: "m", content: { body } }] } } },
  },
});

Deno.test("the event stream asks again after a failure, and starts anew from an unknown position", async () => {
  let failures = 0;
  await withSync((since) => {
    if (since === "unknown") return Response.json({ errcode: "M_UNKNOWN" }, { status: 400 });
    if (since === null) return Response.json({ next_batch: "now" });
    if (since === "now" && failures++ < 2) return new Response("no", { status: 503 });
    return Response.json(since === "now" ? batch("s1") : batch("s2"));
  }, async ({ get }) => {
    const stop = new AbortController();
    const response = await get("/v1/matrix/events", {
      headers: { "last-event-id": "unknown" },
      signal: stop.signal,
    });
    const seen: string[] = [];
    for await (const { event, id } of readServerSentEvents(response.body!)) {
      seen.push(`${event} ${id}`);
      if (id === "s1") break;
    }
    assert.deepEqual(seen, ["open unknown", "reset now", "event ", "position s1"]);
    assert.equal(failures, 3);
    stop.abort();
  });
});

Deno.test("the event stream of a reader that does not read asks no further", async () => {
  let polls = 0;
  const idle = Promise.withResolvers<void>();
  await withSync((since) => {
    polls++;
    if (since === null) return Response.json({ next_batch: "0" });
    // Far more than a socket's buffers take.
    return Response.json(batch(String(Number(since) + 1), "x".repeat(1024 * 1024)));
  }, async ({ sockets }) => {
    const connection = await Deno.connect({ transport: "unix", path: sockets.agent });
    await connection.write(
      new TextEncoder().encode("GET /v1/matrix/events HTTP/1.1\r\nHost: x\r\n\r\n"),
    );
    // Until nothing new is asked for a while; a stream without back-pressure never gets there.
    let before = -1;
    const check = setInterval(() => {
      if (polls > 1 && polls === before) idle.resolve();
      before = polls;
    }, 500);
    await idle.promise;
    clearInterval(check);
    assert.ok(polls < 32, `${polls} answers were read for nobody`);
    connection.close();
  });
});

Deno.test("a proxy that stops ends its event streams, and its clients' requests to the homeserver", async () => {
  const waiting = Promise.withResolvers<void>();
  const left = Promise.withResolvers<void>();
  await withSync((since, request) => {
    if (since === null) return Response.json({ next_batch: "0" });
    waiting.resolve();
    return new Promise((resolve) =>
      request.signal.addEventListener("abort", () => {
        left.resolve();
        resolve(new Response());
      })
    );
  }, async ({ get, proxy }) => {
    const response = await get("/v1/matrix/events");
    const reader = response.body!.getReader();
    await reader.read();
    const rest = reader.read();
    await waiting.promise;
    await proxy.stop();
    assert.equal((await rest).done, true);
    await left.promise;
  });
});

Deno.test("a principal has so many event streams, and a closed one counts no more", async () => {
  await withSync((since, request) => {
    if (since === null) return Response.json({ next_batch: "0" });
    return new Promise((resolve) =>
      request.signal.addEventListener("abort", () => resolve(new Response()))
    );
  }, async ({ get }) => {
    const stop = new AbortController();
    // Kept: an answer that nobody holds any more is collected, and its connection with it.
    const open: Response[] = [];
    for (let count = 0; count < 16; count++) {
      open.push(await get("/v1/matrix/events", { signal: stop.signal }));
    }
    const refused = await get("/v1/matrix/events");
    assert.deepEqual([...open, refused].map(({ status }) => status), [...Array(16).fill(200), 429]);
    assert.equal((await refused.json()).error.code, "too-many-streams");
    stop.abort();
    const deadline = Date.now() + 30_000;
    for (let status = 429; status !== 200;) {
      assert.ok(Date.now() < deadline, "closed streams still count");
      const again = await get("/v1/matrix/events");
      status = again.status;
      await again.body?.cancel();
    }
  });
});
