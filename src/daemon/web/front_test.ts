// SPDX-License-Identifier: Apache-2.0

/** Attacks on the page's front by name and by origin, each beside the same request that is served. */
import assert from "node:assert/strict";
import { HandClock } from "../../lib/testing/hand_clock.ts";
import { createLogger } from "../../lib/log.ts";
import { WebAccess } from "./access.ts";
import { Front } from "./front.ts";
import { guestOf } from "./guest.ts";
import type { Place } from "./origin.ts";
import { openStore, type Session } from "./store.ts";

const log = createLogger("test", {}, () => {});
const USER = "@operator:test";
const HERE = "http://127.0.0.1:6169";
const LOOPBACK: Place = { lan: null, origins: [] };
const AGENT = "bureau/fleet/dev/agent/a";

interface Asked {
  readonly path: string;
  readonly user: string | undefined;
  readonly readOnly: boolean | undefined;
}

class Bench {
  readonly clock = new HandClock();
  readonly reached: Asked[] = [];
  readonly logins: (Session | null)[] = [];
  readonly #dir: string;
  access!: WebAccess;
  front!: Front;

  private constructor(dir: string) {
    this.#dir = dir;
  }

  static async open(): Promise<Bench> {
    const bench = new Bench(await Deno.makeTempDir({ prefix: "b-web" }));
    bench.access = new WebAccess(await openStore(bench.#dir, log), bench.clock);
    bench.front = new Front({
      access: bench.access,
      handler: (request) => {
        const guest = guestOf(request);
        const { pathname } = new URL(request.url);
        bench.reached.push({ path: pathname, user: guest?.userId, readOnly: guest?.readOnly });
        return Promise.resolve(Response.json({ ok: true }));
      },
      page: () => Promise.resolve(new Response("<!doctype html>")),
      machine: "@machine:test",
      onLogin: (session) => bench.logins.push(session),
      log,
    });
    return bench;
  }

  ask(path: string, init: RequestInit = {}, place = LOOPBACK, base = HERE): Promise<Response> {
    return this.front.at(place)(new Request(`${base}${path}`, init));
  }

  login(token: string, headers: Record<string, string> = { origin: HERE }): Promise<Response> {
    return this.ask("/login", { method: "POST", body: JSON.stringify({ token }), headers });
  }

  /** @returns the cookie, as a browser sends it */
  async loggedIn(kind: "link" | "share" = "link"): Promise<string> {
    const { token } = await this.access.issue({
      ...{ kind, name: "n", user: USER },
      ...(kind === "share" ? { principal: AGENT, forMs: 3_600_000 } : {}),
    });
    const response = await this.login(token);
    assert.equal(response.status, 204);
    return response.headers.get("set-cookie")!.split(";")[0]!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#dir, { recursive: true });
  }
}

Deno.test("a name that is pointed here by somebody else's DNS is not served, whatever it asks", async () => {
  await using b = await Bench.open();
  const cookie = await b.loggedIn();
  for (const path of ["/", "/session", "/v1/principals"]) {
    for (
      const base of [
        "http://evil.example:6169",
        "http://127.0.0.1.evil.example:6169",
        "http://localhost.evil.example",
      ]
    ) {
      assert.equal(
        (await b.ask(path, { headers: { cookie } }, LOOPBACK, base)).status,
        421,
        base + path,
      );
    }
    // Controls: by each of its own names. The far end of an `ssh -L` has another port.
    for (
      const base of [HERE, "http://localhost:6169", "http://[::1]:6169", "http://localhost:9999"]
    ) {
      const own = base.startsWith("http://localhost:9") || !base.endsWith(":6169") ? 9999 : 6169;
      const headers = { cookie: own === 6169 ? cookie : cookie.replace("6169", String(own)) };
      assert.equal((await b.ask(path, { headers }, LOOPBACK, base)).status, 200, base + path);
    }
  }
});

Deno.test("another origin's page may ask nothing, though the browser sent the cookie along", async () => {
  await using b = await Bench.open();
  const cookie = await b.loggedIn();
  const post = (headers: Record<string, string>) =>
    b.ask("/v1/asks/decide", { method: "POST", body: "{}", headers: { cookie, ...headers } });
  const websocket = (headers: Record<string, string>) =>
    b.ask(`/v1/principals/${encodeURIComponent(AGENT)}/observe`, {
      headers: { cookie, upgrade: "websocket", connection: "upgrade", ...headers },
    });
  const get = (headers: Record<string, string>) =>
    b.ask("/v1/principals", { headers: { cookie, ...headers } });
  const strangers = [
    "http://evil.example",
    "http://localhost:8080",
    "https://127.0.0.1:6169",
    "null",
  ];
  for (const origin of strangers) {
    for (const ask of [post, websocket, get]) {
      assert.equal((await ask({ origin })).status, 403, origin);
    }
  }
  // A browser that keeps the origin to itself says where it comes from; what changes something must name it.
  assert.equal((await post({})).status, 403);
  assert.equal((await websocket({})).status, 403);
  assert.equal((await get({ "sec-fetch-site": "cross-site" })).status, 403);
  assert.equal((await get({ "sec-fetch-site": "same-site" })).status, 403);
  assert.equal(b.reached.length, 0);
  // Controls.
  assert.equal((await post({ origin: HERE })).status, 200);
  assert.equal((await websocket({ origin: HERE })).status, 200);
  assert.equal((await get({ "sec-fetch-site": "same-origin" })).status, 200);
  assert.equal(b.reached.length, 3);
});

Deno.test("a login can't be forced upon a browser by another page, and its cookie stays with this one", async () => {
  await using b = await Bench.open();
  const { token } = await b.access.issue({ kind: "link", name: "n", user: USER });
  assert.equal((await b.login(token, { origin: "http://evil.example" })).status, 403);
  assert.equal((await b.login(token, {})).status, 403);
  const response = await b.login(token);
  assert.equal(response.status, 204);
  const cookie = response.headers.get("set-cookie")!;
  assert.match(cookie, /^bureau-6169=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Expires=/);
  assert.ok(!cookie.includes("Secure"));
  assert.deepEqual(b.logins.map((one) => one?.user), [USER]);
});

Deno.test("behind a reverse proxy the page has that one's name, and a cookie for TLS alone", async () => {
  await using b = await Bench.open();
  const place: Place = { lan: null, origins: ["https://bureau.example.org"] };
  const { token } = await b.access.issue({ kind: "link", name: "n", user: USER });
  const body = JSON.stringify({ token });
  const login = (origin: string) =>
    b.ask(
      "/login",
      { method: "POST", body, headers: { origin } },
      place,
      "http://bureau.example.org",
    );
  assert.equal((await login("http://bureau.example.org")).status, 403);
  const response = await login("https://bureau.example.org");
  assert.equal(response.status, 204);
  const cookie = response.headers.get("set-cookie")!;
  assert.match(cookie, /^__Host-bureau=.*; Secure$/);
  const headers = { cookie: cookie.split(";")[0]! };
  const ask = (base: string) => b.ask("/session", { headers }, place, base);
  assert.equal((await ask("http://bureau.example.org")).status, 200);
  assert.equal((await ask("http://other.example.org")).status, 421);
});

Deno.test("without a session nothing of the daemon is served, and of it only what the page needs", async () => {
  await using b = await Bench.open();
  assert.equal((await b.ask("/v1/principals")).status, 401);
  assert.equal(
    (await b.ask("/v1/principals", { headers: { cookie: "bureau-6169=made-up" } })).status,
    401,
  );
  // A Matrix token is no session: what is asked here is asked by browsers.
  assert.equal(
    (await b.ask("/v1/principals", { headers: { authorization: "Bearer x" } })).status,
    401,
  );
  assert.equal(b.reached.length, 0);
  const cookie = await b.loggedIn();
  const ask = (path: string, method = "GET") =>
    b.ask(path, { method, headers: { cookie, origin: HERE } });
  for (
    const [path, method] of [
      ["/v1/web/links", "POST"],
      ["/v1/web/tokens", "GET"],
      ["/v1/principals/a/kill", "POST"],
      ["/v1/matrix/state", "GET"],
      ["/v1/metrics", "GET"],
      ["/v1/principals//observe", "GET"],
      ["/v1/principals/a/observe", "POST"],
    ] as const
  ) assert.equal((await ask(path, method)).status, 403, `${method} ${path}`);
  assert.equal(b.reached.length, 0);
  // How the page's own process does is on its socket, for the daemon.
  assert.equal((await ask("/metrics")).status, 404);
  assert.equal((await ask("/v1/principals")).status, 200);
  assert.deepEqual(b.reached, [{ path: "/v1/principals", user: USER, readOnly: false }]);
});

Deno.test("a shared link reaches its agent's terminal, to look at, and nothing else", async () => {
  await using b = await Bench.open();
  const cookie = await b.loggedIn("share");
  const observe = (agent: string) =>
    b.ask(`/v1/principals/${agent}/observe?mode=readwrite`, { headers: { cookie, origin: HERE } });
  for (
    const path of [
      "/v1/principals",
      `/v1/principals/${encodeURIComponent(AGENT)}`,
      "/v1/asks",
      "/v1/asks/events",
      "/v1/approvals/events",
    ]
  ) assert.equal((await b.ask(path, { headers: { cookie } })).status, 403, path);
  for (
    const other of [
      encodeURIComponent("bureau/fleet/dev/agent/b"),
      "a",
      encodeURIComponent(encodeURIComponent(AGENT)),
      "%",
    ]
  ) assert.equal((await observe(other)).status, 403, other);
  assert.equal(b.reached.length, 0);
  assert.equal((await observe(encodeURIComponent(AGENT))).status, 200);
  assert.equal(b.reached[0]!.readOnly, true);
  // Who gave it out is not told.
  const session = await (await b.ask("/session", { headers: { cookie } })).json();
  assert.deepEqual([session.user, session.machine, session.principal], [null, null, AGENT]);
});

Deno.test("a login is refused in one way whatever is wrong, and written down", async () => {
  await using b = await Bench.open();
  const used = await b.access.issue({ kind: "link", name: "n", user: USER });
  await b.login(used.token);
  const old = await b.access.issue({ kind: "link", name: "n", user: USER });
  b.clock.advance(601_000);
  const answers = new Set<string>();
  for (const token of [used.token, old.token, "made-up"]) {
    const response = await b.login(token);
    assert.equal(response.status, 403);
    answers.add(await response.text());
  }
  assert.equal(answers.size, 1);
  assert.deepEqual(b.logins.slice(1), [null, null, null]);
  for (const body of ["", "{", "[]", '{"token":1}', JSON.stringify({ token: "x".repeat(5000) })]) {
    const init = { method: "POST", body, headers: { origin: HERE } };
    assert.equal((await b.ask("/login", init)).status, 400, body.slice(0, 20));
  }
  assert.equal((await b.ask("/login", { headers: { origin: HERE } })).status, 405);
});

Deno.test("logging out ends the session, and every answer says what a browser may do with it", async () => {
  await using b = await Bench.open();
  const cookie = await b.loggedIn();
  const headers = { cookie, origin: HERE };
  const before = await b.ask("/session", { headers });
  for (const response of [before, await b.ask("/"), await b.ask("/v1/nothing", { headers })]) {
    assert.match(
      response.headers.get("content-security-policy")!,
      /^default-src 'none'; script-src 'self';/,
    );
    assert.equal(response.headers.get("x-content-type-options"), "nosniff");
    assert.equal(response.headers.get("cross-origin-resource-policy"), "same-origin");
  }
  assert.equal(before.headers.get("cache-control"), "no-store");
  const out = await b.ask("/logout", { method: "POST", headers });
  assert.equal(out.status, 204);
  assert.match(out.headers.get("set-cookie")!, /^bureau-6169=; .*1970/);
  assert.equal((await b.ask("/session", { headers })).status, 401);
});
