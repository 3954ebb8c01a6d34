// SPDX-License-Identifier: Apache-2.0

/** Failures as a network makes them, by a scripted server on loopback. */
import assert from "node:assert/strict";
import type { Clock } from "../lib/clock.ts";
import {
  createMatrixClient,
  type MatrixClient,
  MessagingError,
  retry,
  runSync,
  SyncFilter,
  type SyncHealth,
} from "./mod.ts";

type Step = (request: Request) => Response | Promise<Response>;

/** Answers with one step after the other; the last one stays. */
class Script implements AsyncDisposable {
  readonly seen: string[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(steps: readonly Step[]) {
    let at = 0;
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
      this.seen.push(`${request.method} ${new URL(request.url).pathname}`);
      return steps[Math.min(at++, steps.length - 1)]!(request);
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

function fakeClock(): Clock & { slept: number[] } {
  const slept: number[] = [];
  return {
    slept,
    now: () => Date.parse("2026-01-01T00:00:00Z"),
    sleep(ms, signal) {
      if (signal?.aborted) return Promise.reject(signal.reason);
      slept.push(ms);
      return Promise.resolve();
    },
  };
}

const ok: Step = () => Response.json({ event_id: "$1", next_batch: "s1", user_id: "@a:b" });
const unknownToken: Step = () =>
  Response.json({ errcode: "M_UNKNOWN_TOKEN", error: "revoked" }, { status: 401 });
const limited = (body: object, headers: HeadersInit = {}): Step => () =>
  Response.json({ errcode: "M_LIMIT_EXCEEDED", ...body }, { status: 429, headers });
/** Waits until the client has gone. */
const silent: Step = (request) =>
  new Promise((resolve) =>
    request.signal.addEventListener("abort", () => resolve(new Response()), { once: true })
  );
/** Half of what the length promises. */
function rawServer(answer: string): Deno.TcpListener {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  (async () => {
    for await (const connection of listener) {
      await connection.read(new Uint8Array(4096)).catch(() => {});
      await connection.write(new TextEncoder().encode(answer)).catch(() => {});
      connection.close();
    }
  })().catch(() => {});
  return listener;
}

const clientOf = (url: string, clock: Clock): MatrixClient =>
  createMatrixClient({ homeserverUrl: url, accessToken: "t", clock, random: () => 0 });

for (
  const [name, step, waits] of [
    ["the body's retry_after_ms", limited({ retry_after_ms: 1234 }), [1234]],
    ["the header's seconds", limited({}, { "retry-after": "7" }), [7000]],
    [
      "the header's date",
      limited({}, { "retry-after": "Thu, 01 Jan 2026 00:00:05 GMT" }),
      [5000],
    ],
    ["a date that has passed", limited({}, { "retry-after": "Wed, 31 Dec 2025 00:00:00 GMT" }), [
      1000,
    ]],
    ["nothing said", limited({}), [1000]],
    ["a wait that is no number", limited({ retry_after_ms: "soon" }), [1000]],
    ["a wait below zero", limited({ retry_after_ms: -5 }), [1000]],
  ] as const
) {
  Deno.test(`a 429 is waited for: ${name}`, async () => {
    await using server = new Script([step, ok]);
    const clock = fakeClock();
    assert.equal(await clientOf(server.url, clock).send("!r", "m.x", {}, "txn"), "$1");
    assert.deepEqual(clock.slept, waits);
  });
}

Deno.test("a 429 that asks for too long is handed on at once, with how long and what would mend it", async () => {
  await using server = new Script([limited({ retry_after_ms: 333_000 })]);
  const clock = fakeClock();
  await assert.rejects(
    clientOf(server.url, clock).send("!r", "m.x", {}, "txn"),
    { hint: /^try again in 333 s, or raise its limits: docs\/guide\/production-homeserver\.md/ },
  );
  assert.deepEqual(clock.slept, []);
});

for (
  const [name, steps, codes] of [
    ["500 and 503", [
      () => Response.json({ errcode: "M_UNKNOWN", error: "x" }, { status: 500 }),
      () => new Response("<html>busy</html>", { status: 503 }),
      ok,
    ], ["unknown", "bad-answer"]],
    ["a 502 of a proxy", [() => new Response("bad gateway", { status: 502 }), ok], ["bad-answer"]],
    ["JSON that ends in between", [() => new Response('{"event_id":"$'), ok], ["bad-answer"]],
    ["an empty 200", [() => new Response(""), ok], ["bad-answer"]],
  ] as const
) {
  Deno.test(`retry() goes on after ${name}`, async () => {
    await using server = new Script(steps);
    const clock = fakeClock();
    const client = clientOf(server.url, clock);
    const seen: string[] = [];
    const id = await retry(() => client.send("!r", "m.x", {}, "txn"), {
      signal: new AbortController().signal,
      clock,
      random: () => 0,
      onFailure: (error) => seen.push(error.code),
    });
    assert.equal(id, "$1");
    assert.deepEqual(seen, codes);
    assert.deepEqual(clock.slept, codes.map((_, n) => 1000 * 2 ** n));
  });
}

Deno.test("retry() goes on after a body that breaks off and after a refused connection", async () => {
  const listener = rawServer('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"event_id"');
  const clock = fakeClock();
  const client = clientOf(`http://127.0.0.1:${(listener.addr as Deno.NetAddr).port}`, clock);
  const codes: string[] = [];
  const stop = new AbortController();
  await assert.rejects(
    retry(() => client.send("!r", "m.x", {}, "txn"), {
      signal: stop.signal,
      clock,
      random: () => 0,
      onFailure(error, failures) {
        codes.push(error.code);
        if (failures === 1) listener.close();
        if (failures === 3) stop.abort(new Error("enough"));
      },
    }),
    /enough/,
  );
  assert.deepEqual(codes, ["unreachable", "unreachable", "unreachable"]);
});

Deno.test("retry() throws at once what no waiting mends", async () => {
  await using server = new Script([
    () => Response.json({ errcode: "M_FORBIDDEN", error: "no" }, { status: 403 }),
  ]);
  const clock = fakeClock();
  const client = clientOf(server.url, clock);
  const signal = new AbortController().signal;
  await assert.rejects(retry(() => client.send("!r", "m.x", {}, "t"), { signal, clock }), {
    errcode: "M_FORBIDDEN",
  });
  assert.deepEqual(clock.slept, []);
  assert.equal(server.seen.length, 1);
});

Deno.test("a request that gets no answer ends at its deadline, as unreachable", async () => {
  await using server = new Script([silent]);
  const client = clientOf(server.url, fakeClock());
  await assert.rejects(
    client.request("GET", "/_matrix/x", { what: "wait", timeoutMs: 50 }),
    (thrown) => thrown instanceof MessagingError && thrown.code === "unreachable",
  );
});

for (
  const [name, step] of [
    ["the answer is awaited", silent],
    ["its body is read", () =>
      new Response(
        new ReadableStream({
          start: (controller) => controller.enqueue(new TextEncoder().encode('{"a":')),
        }),
      )],
    ["a 429 is waited for", limited({ retry_after_ms: 20_000 })],
  ] as const satisfies readonly (readonly [string, Step])[]
) {
  Deno.test(`a request ends with its signal's reason while ${name}`, async () => {
    const asked = Promise.withResolvers<void>();
    const server = new Script([(request) => {
      asked.resolve();
      return step(request);
    }]);
    const client = createMatrixClient({ homeserverUrl: server.url, accessToken: "t" });
    const stop = new AbortController();
    const reason = new Error("the caller's own");
    const ended = assert.rejects(
      client.request("GET", "/_matrix/x", { what: "wait", signal: stop.signal }),
      (thrown) => thrown === reason,
    );
    await asked.promise;
    stop.abort(reason);
    await ended;
    await server[Symbol.asyncDispose]();
  });
}

for (
  const [name, use] of [
    ["send", (client: MatrixClient) => client.send("!r", "m.x", {}, "txn")],
    ["a helper", (client: MatrixClient) => client.members("!r")],
    ["bytes", (client: MatrixClient) => client.raw("GET", "/_matrix/m", { what: "download" })],
  ] as const
) {
  Deno.test(`M_UNKNOWN_TOKEN of ${name} surfaces once and ends the sync loop and all else`, async () => {
    let revoked = false;
    const polling = Promise.withResolvers<void>();
    await using server = new Script([(request) => {
      const { pathname, searchParams } = new URL(request.url);
      if (pathname.endsWith("/filter")) return Response.json({ filter_id: "1" });
      if (!pathname.endsWith("/sync")) return revoked ? unknownToken(request) : ok(request);
      if (searchParams.get("since") === null) return ok(request);
      polling.resolve();
      return silent(request);
    }]);
    const lost: MessagingError[] = [];
    const client = createMatrixClient({
      homeserverUrl: server.url,
      accessToken: "t",
      onAccountLost: (error) => lost.push(error),
    });
    const health: SyncHealth[] = [];
    const loop = runSync({
      client,
      userId: "@a:b",
      filter: {},
      store: { load: () => Promise.resolve({}), save: () => Promise.resolve() },
      signal: new AbortController().signal,
      onBatch() {},
      onHealth: (one) => health.push(one),
    });
    const loopEnds = assert.rejects(loop, { errcode: "M_UNKNOWN_TOKEN" });
    await polling.promise;
    revoked = true;
    await Promise.all([
      assert.rejects(use(client), { errcode: "M_UNKNOWN_TOKEN" }),
      assert.rejects(use(client), { errcode: "M_UNKNOWN_TOKEN" }),
    ]);
    await loopEnds;
    assert.equal(lost.length, 1);
    assert.equal(client.lost.reason, lost[0]);
    assert.ok(health.every(({ state }) => state === "ok"));
    const asked = server.seen.length;
    await assert.rejects(client.whoami(), (thrown) => thrown === lost[0]);
    assert.equal(server.seen.length, asked, "nothing is sent any more");
    assert.equal(lost.length, 1);
  });
}

Deno.test("M_UNKNOWN_TOKEN of the sync surfaces once", async () => {
  await using server = new Script([unknownToken]);
  let lost = 0;
  const client = createMatrixClient({
    homeserverUrl: server.url,
    accessToken: "t",
    onAccountLost: () => lost++,
  });
  await assert.rejects(
    runSync({
      client,
      userId: "@a:b",
      filter: {},
      store: { load: () => Promise.resolve({}), save: () => Promise.resolve() },
      signal: new AbortController().signal,
      onBatch() {},
    }),
    { errcode: "M_UNKNOWN_TOKEN" },
  );
  assert.equal(lost, 1);
  assert.equal(server.seen.length, 1);
});

Deno.test("runSync() asks with another filter as soon as it changes, from the same position", async () => {
  const polls: string[] = [];
  const polling = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let filters = 0;
  await using server = new Script([(request) => {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname.endsWith("/filter")) return Response.json({ filter_id: `f${++filters}` });
    const since = searchParams.get("since");
    polls.push(`${since} ${searchParams.get("filter")}`);
    if (since === null) return ok(request);
    polling[polls.length - 2]?.resolve();
    return silent(request);
  }]);
  const filter = new SyncFilter({ a: 1 });
  const stop = new AbortController();
  const health: SyncHealth[] = [];
  const loop = runSync({
    client: createMatrixClient({ homeserverUrl: server.url, accessToken: "t" }),
    userId: "@a:b",
    filter,
    store: { load: () => Promise.resolve({}), save: () => Promise.resolve() },
    signal: stop.signal,
    onBatch() {},
    onHealth: (one) => health.push(one),
  });
  await polling[0]!.promise;
  filter.set({ a: 1 });
  filter.set({ a: 2 });
  await polling[1]!.promise;
  stop.abort();
  await loop;
  assert.deepEqual(polls, ["null f1", "s1 f1", "s1 f2"]);
  assert.ok(health.every(({ state }) => state === "ok"));
});
