// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import type { Clock } from "../lib/clock.ts";
import {
  backoffMs,
  createMatrixClient,
  hasErrcode,
  MessagingError,
  path,
  powerLevel,
  registerWithToken,
  RoomStates,
  runSync,
} from "./mod.ts";

/** Sleeps end at once and are written down. */
function fakeClock(): Clock & { slept: number[] } {
  const slept: number[] = [];
  return {
    slept,
    now: () => 1_000,
    sleep(ms, signal) {
      if (signal?.aborted) return Promise.reject(signal.reason);
      slept.push(ms);
      return Promise.resolve();
    },
  };
}

type Answer = { status: number; body: unknown } | "down";

function fakeFetch(answer: (url: URL, init: RequestInit) => Answer): typeof fetch {
  return (input, init) => {
    const result = answer(new URL(String(input)), init ?? {});
    return result === "down"
      ? Promise.reject(new TypeError("connection refused"))
      : Promise.resolve(Response.json(result.body, { status: result.status }));
  };
}

const base = { homeserverUrl: "http://hs.test", accessToken: "t" };

Deno.test("path() keeps a name one segment when it holds slashes or dots", () => {
  assert.equal(
    path`/rooms/${"!a/../b:c"}/state/${"x?y#z"}`,
    "/rooms/!a%2F..%2Fb%3Ac/state/x%3Fy%23z",
  );
});

Deno.test("request waits as long as it is asked when it is limited", async () => {
  const clock = fakeClock();
  let calls = 0;
  const client = createMatrixClient({
    ...base,
    clock,
    fetch: fakeFetch(() =>
      ++calls < 3
        ? { status: 429, body: { errcode: "M_LIMIT_EXCEEDED", retry_after_ms: 1234 } }
        : { status: 200, body: { user_id: "@a:b" } }
    ),
  });
  assert.equal((await client.whoami()).user_id, "@a:b");
  assert.deepEqual(clock.slept, [1234, 1234]);
});

Deno.test("request hands the 429 over when the wait is too long", async () => {
  const client = createMatrixClient({
    ...base,
    clock: fakeClock(),
    fetch: fakeFetch(() => ({
      status: 429,
      body: { errcode: "M_LIMIT_EXCEEDED", retry_after_ms: 3_600_000 },
    })),
  });
  await assert.rejects(client.whoami(), (thrown) => hasErrcode(thrown, "M_LIMIT_EXCEEDED"));
});

Deno.test("createMatrixClient() refuses an address that is no http URL", () => {
  for (const homeserverUrl of ["", "hs.test", "ftp://hs.test", "http://u:p@hs.test"]) {
    assert.throws(() => createMatrixClient({ ...base, homeserverUrl }), MessagingError);
  }
});

Deno.test("backoffMs() is a random part of 1 s doubling to 30 s", () => {
  assert.deepEqual([1, 2, 3, 6, 99].map((n) => backoffMs(n, () => 0)), [
    1000,
    2000,
    4000,
    30_000,
    30_000,
  ]);
  assert.equal(backoffMs(3, () => 0.5), 2000);
  assert.equal(backoffMs(9, () => 0.999999), 100);
});

Deno.test("runSync() retries with growing pauses, starts anew after a refused token, and goes on", async () => {
  const clock = fakeClock();
  const stop = new AbortController();
  const asked: (string | null)[] = [];
  let syncs = 0;
  let filters = 0;
  const client = createMatrixClient({
    ...base,
    clock,
    fetch: fakeFetch((url) => {
      if (url.pathname.endsWith("/filter")) {
        return { status: 200, body: { filter_id: `f${++filters}` } };
      }
      asked.push(url.searchParams.get("since"));
      switch (++syncs) {
        case 1:
        case 2:
          return "down";
        case 3:
          return { status: 400, body: { errcode: "M_INVALID_PARAM", error: "bad since" } };
        case 4:
          return { status: 200, body: { next_batch: "s1" } };
        case 5:
          return { status: 429, body: { errcode: "M_LIMIT_EXCEEDED", retry_after_ms: 60_000 } };
        default:
          return { status: 200, body: { next_batch: "s2" } };
      }
    }),
  });
  const initial: boolean[] = [];
  await runSync({
    client,
    userId: "@a:b",
    filter: {},
    store: { load: () => Promise.resolve({ since: "old" }), save: () => Promise.resolve() },
    clock,
    random: () => 0,
    signal: stop.signal,
    onBatch(batch) {
      initial.push(batch.initial);
      if (initial.length === 2) stop.abort();
    },
  });
  assert.deepEqual(asked, ["old", "old", "old", null, "s1", "s1"]);
  assert.deepEqual(initial, [true, false]);
  assert.deepEqual(clock.slept, [1000, 2000, 4000, 60_000]);
});

Deno.test("registerWithToken() goes through the stages that the homeserver asks for", async () => {
  const sent: unknown[] = [];
  const fetch = fakeFetch((_, init) => {
    const body = JSON.parse(String(init.body));
    sent.push(body.auth?.type ?? null);
    const stages = ["m.login.registration_token", "m.login.dummy"];
    const challenge = (completed: string[]) => ({
      status: 401,
      body: { session: "s", flows: [{ stages }], completed },
    });
    if (body.auth === undefined) return challenge([]);
    if (body.auth.type === stages[0]) {
      return body.auth.token === "good" ? challenge([stages[0]!]) : {
        status: 401,
        body: { session: "s", flows: [{ stages }], completed: [], errcode: "M_UNAUTHORIZED" },
      };
    }
    return { status: 200, body: { user_id: "@a:b", access_token: "t", device_id: "d" } };
  });
  const account = { user: "a", password: "p" };
  const session = await registerWithToken(
    { homeserverUrl: "http://hs.test", fetch },
    account,
    "good",
  );
  assert.equal(session.user_id, "@a:b");
  assert.deepEqual(sent, [null, "m.login.registration_token", "m.login.dummy"]);
  await assert.rejects(
    registerWithToken({ homeserverUrl: "http://hs.test", fetch }, account, "bad"),
    (thrown) => hasErrcode(thrown, "M_UNAUTHORIZED"),
  );
});

Deno.test("powerLevel() is 0 when nothing says otherwise", () => {
  const states = new RoomStates();
  assert.equal(powerLevel(states, "!r", "@a:b"), 0);
  states.apply("!r", {
    type: "m.room.power_levels",
    sender: "@a:b",
    state_key: "",
    content: { users: { "@a:b": 100, "@c:d": "100" }, users_default: 5 },
  });
  assert.equal(powerLevel(states, "!r", "@a:b"), 100);
  assert.equal(powerLevel(states, "!r", "@c:d"), 0);
  assert.equal(powerLevel(states, "!r", "@e:f"), 5);
  assert.equal(powerLevel(states, "!r", "__proto__"), 5);
});
