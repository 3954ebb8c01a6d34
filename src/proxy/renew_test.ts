// SPDX-License-Identifier: Apache-2.0

/** Other credentials for a proxy that runs: requests on their way go on, the next ones have the new ones. */
import assert from "node:assert/strict";
import type { BoundService, ProxyBootstrap } from "./api.ts";
import { bootstrapWith, withProxy } from "./testing/harness.ts";
import { startOauth } from "./testing/oauth.ts";

const PLACEHOLDER = "bureau-placeholder-key-00ff";
const backwards = (text: string) => [...text].reverse().join("");

function service(port: number, value: string): BoundService {
  return {
    upstream: `http://127.0.0.1:${port}`,
    inject_headers: { "x-key": value },
    strip_headers: [],
  };
}

/** Says backwards what it was shown: the proxy takes secrets out of answers. `/slow` ends when it is told to. */
function startUpstream() {
  const slow = Promise.withResolvers<void>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const shown = backwards(request.headers.get("x-key") ?? "");
    if (!request.url.endsWith("/slow")) return new Response(shown);
    const encoder = new TextEncoder();
    return new Response(
      new ReadableStream({
        async start(controller) {
          controller.enqueue(encoder.encode(shown));
          await slow.promise;
          controller.enqueue(encoder.encode(" end"));
          controller.close();
        },
      }),
    );
  });
  return { port: server.addr.port, release: slow.resolve, stop: () => server.shutdown() };
}

Deno.test("renew() puts other values into the next requests; one on its way goes on with the old", async () => {
  const upstream = startUpstream();
  const { port } = upstream;
  const host = `127.0.0.1:${port}`;
  const document = (value: string, name = "api"): ProxyBootstrap =>
    bootstrapWith({
      services: { [name]: service(port, value) },
      placeholders: [{ placeholder: PLACEHOLDER, value, hosts: [host] }],
      // What the daemon said meanwhile holds, not this.
      grants: [],
    });
  try {
    await withProxy({ ...document("old-value-1"), grants: [{ actions: ["**"] }] }, async (it) => {
      const text = async (path: string) => {
        const answer = await it.get(path);
        return { status: answer.status, text: await answer.text() };
      };
      using forward = Deno.createHttpClient({
        proxy: { transport: "unix", path: it.sockets.forward },
      });
      const swapped = async () => {
        const headers = { "x-key": PLACEHOLDER };
        const answer = await fetch(`http://${host}/`, { client: forward, headers });
        return backwards(await answer.text());
      };
      assert.equal(backwards((await text("/http/api/")).text), "old-value-1");
      assert.equal(await swapped(), "old-value-1");
      const slow = await it.get("/http/api/slow");
      const reader = slow.body!.pipeThrough(new TextDecoderStream()).getReader();
      // Its end is held back: it might begin a secret.
      let streamed = (await reader.read()).value!;
      assert.ok(backwards("old-value-1").startsWith(streamed) && streamed !== "");

      await it.proxy.renew(document("new-value-2"));
      assert.equal(backwards((await text("/http/api/")).text), "new-value-2");
      assert.equal(await swapped(), "new-value-2");
      upstream.release();
      for (let piece; (piece = await reader.read()).value !== undefined;) streamed += piece.value;
      assert.equal(streamed, `${backwards("old-value-1")} end`);

      // What can't be used changes nothing.
      const bad = document("bad-value-3");
      bad.services["api"]!.upstream = "ftp://nowhere";
      await assert.rejects(it.proxy.renew(bad));
      assert.equal(backwards((await text("/http/api/")).text), "new-value-2");

      await it.proxy.renew(document("new-value-4", "other"));
      assert.equal((await text("/http/api/")).status, 404);
      assert.equal(backwards((await text("/http/other/")).text), "new-value-4");
      const listed = await (await it.get("/v1/services")).json();
      assert.deepEqual(listed.services.map(({ name }: { name: string }) => name), ["other"]);
    });
  } finally {
    await upstream.stop();
  }
});

Deno.test("renew() leaves a login that is the same its tokens, and fetches for another one", async () => {
  const oauth = startOauth();
  const marker = "bureau-live-credential:login:";
  const document = (began: string, refresh: string, extra: string): ProxyBootstrap => {
    const host = `http://127.0.0.1:${oauth.port}`;
    const api = {
      upstream: `${host}/api`,
      inject_headers: { authorization: `Bearer ${marker}`, "x-extra": extra },
      strip_headers: [],
    };
    const login = {
      name: "login",
      began,
      marker,
      token_url: `${host}/oauth/token`,
      client_id: "client",
      client_secret: "client-secret-value",
      refresh_token: refresh,
    };
    return bootstrapWith({ services: { api }, oauth2: [login] });
  };
  try {
    await withProxy(document("first", "refresh-token-0", "a"), async ({ get, proxy }) => {
      const reached = async () => {
        const answer = await get("/http/api/");
        return backwards((await answer.json()).reached);
      };
      assert.equal(await reached(), "Bearer access-token-1");
      // Sealed anew beside it: `refresh-token-0` is used up, and is not used again.
      await proxy.renew(document("first", "refresh-token-0", "b"));
      assert.equal(await reached(), "Bearer access-token-1");
      assert.equal(oauth.asked.length, 1);
      await proxy.renew(document("second", "refresh-token-1", "b"));
      assert.equal(await reached(), "Bearer access-token-2");
      assert.equal(oauth.asked.length, 2);
    });
  } finally {
    await oauth.stop();
  }
});

Deno.test("a credential whose end has come is used no more, in a service and in a placeholder", async () => {
  const upstream = startUpstream();
  const host = `127.0.0.1:${upstream.port}`;
  const time = { now: 1_000_000 };
  const clock = { now: () => time.now, sleep: () => Promise.resolve() };
  const value = "value-with-an-end";
  const bootstrap = {
    services: {
      api: { ...service(upstream.port, value), expires: { KEY: 2_000_000 } },
      other: service(upstream.port, "value-without-end"),
    },
    placeholders: [{ placeholder: PLACEHOLDER, value, hosts: [host], expires_at: 2_000_000 }],
  };
  try {
    await withProxy(bootstrap, async ({ get, sockets }) => {
      using client = Deno.createHttpClient({ proxy: { transport: "unix", path: sockets.forward } });
      const swap = () => fetch(`http://${host}/`, { client, headers: { "x-key": PLACEHOLDER } });
      const ask = async () => [
        ...await Promise.all(["api", "other"].map((name) => get(`/http/${name}/`))),
        await swap(),
      ];
      for (const answer of await ask()) {
        assert.equal(answer.status, 200);
        await answer.body?.cancel();
      }
      time.now = 2_000_000;
      const [api, other, swapped] = await ask();
      assert.equal(other!.status, 200);
      await other!.body?.cancel();
      for (const refused of [api!, swapped!]) {
        assert.equal(refused.status, 502);
        const { error } = await refused.json();
        assert.equal(error.code, "credential-expired");
        assert.match(error.message, /expired at 1970-01-01T00:33:20/);
      }
    }, { clock });
  } finally {
    await upstream.stop();
  }
});
