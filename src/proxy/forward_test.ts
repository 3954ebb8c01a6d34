// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import type { BoundService } from "./api.ts";
import { makeCertificates, withProxy } from "./testing/harness.ts";
import { rawRequest, rawServer } from "./testing/raw.ts";

const SECRET = "s3cret-api-key";

function service(port: number, fields: Partial<BoundService> = {}): Record<string, BoundService> {
  return {
    up: {
      upstream: `http://127.0.0.1:${port}/base`,
      inject_headers: { "X-Api-Key": SECRET, Authorization: `Bearer ${SECRET}` },
      strip_headers: ["x-extra"],
      ...fields,
    },
  };
}

/** An upstream that tells what reached it, in base64: the proxy takes its secrets out of answers. */
function mirror(tls: { cert?: string; key?: string } = {}) {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {}, ...tls } as Deno.ServeTcpOptions,
    async (request) =>
      new Response(btoa(JSON.stringify({
        method: request.method,
        url: request.url,
        headers: Object.fromEntries(request.headers),
        body: request.body === null ? null : await request.text(),
      }))),
  );
  return { port: server.addr.port, stop: () => server.shutdown() };
}

const reached = (text: string) => JSON.parse(atob(text));

Deno.test("forward() overwrites every credential that a caller sends", async () => {
  const upstream = mirror();
  await withProxy({ services: service(upstream.port) }, async ({ get }) => {
    const response = await get("/http/up/v1/things?q=%2F1", {
      method: "POST",
      body: "hello",
      headers: {
        "x-api-key": "mine",
        "x_api_key": "mine",
        authorization: "Bearer mine",
        cookie: "session=mine",
        "proxy-authorization": "mine",
        "x-extra": "mine",
        "x-forwarded-for": "10.0.0.1",
        "x-kept": "yes",
      },
    });
    assert.equal(response.status, 200);
    const seen = reached(await response.text());
    assert.equal(seen.method, "POST");
    assert.equal(seen.body, "hello");
    assert.equal(seen.url, `http://127.0.0.1:${upstream.port}/base/v1/things?q=%2F1`);
    assert.equal(seen.headers["x-api-key"], SECRET);
    assert.equal(seen.headers.authorization, `Bearer ${SECRET}`);
    assert.equal(seen.headers["x-kept"], "yes");
    assert.equal(seen.headers.host, `127.0.0.1:${upstream.port}`);
    for (
      const name of ["x_api_key", "cookie", "proxy-authorization", "x-extra", "x-forwarded-for"]
    ) {
      assert.equal(seen.headers[name], undefined, name);
    }
  });
  await upstream.stop();
});

Deno.test("forward() puts credentials into the query, and never lets them come back in a header", async () => {
  const upstream = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) =>
      new Response(request.url, { status: 302, headers: { location: request.url, "x-ok": "1" } }),
  );
  const services = service(upstream.addr.port, {
    inject_headers: { Authorization: `Basic ${btoa("me:pass word")}` },
    inject_query: { key: SECRET },
    secrets: ["pass word"],
  });
  await withProxy({ services }, async ({ get }) => {
    const response = await get("/http/up/v1?key=mine&a=1", { redirect: "manual" });
    const { port } = upstream.addr;
    assert.equal(
      await response.text(),
      `http://127.0.0.1:${port}/base/v1?a=1&key=${"*".repeat(SECRET.length)}`,
    );
    assert.equal(response.headers.get("location"), null);
    assert.equal(response.headers.get("x-ok"), "1");
  });
  await upstream.shutdown();
});

Deno.test("forward() takes its secrets out of answers, also encoded ones that nobody asked for", async () => {
  const pieces = async function* () {
    const text = `begin ${SECRET} ${JSON.stringify({ k: `Bearer ${SECRET}` })} end`;
    for (const char of text) yield new TextEncoder().encode(char);
  };
  const upstream = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const asked = new URL(request.url).pathname.split("/").at(-1)!;
    const body = ReadableStream.from(pieces());
    const headers = { "x-asked": request.headers.get("accept-encoding") ?? "" };
    if (asked === "plain") return new Response(body, { headers });
    if (asked === "zstd") {
      return new Response(body, { headers: { ...headers, "content-encoding": "zstd" } });
    }
    const format = (asked === "br" ? "brotli" : asked) as CompressionFormat;
    return new Response(body.pipeThrough(new CompressionStream(format)), {
      headers: { ...headers, "content-encoding": asked },
    });
  });
  const hidden = "*".repeat(SECRET.length);
  await withProxy({ services: service(upstream.addr.port) }, async ({ get }) => {
    for (const encoding of ["plain", "gzip", "deflate", "br"]) {
      const response = await get(`/http/up/${encoding}`, {
        headers: { "accept-encoding": "gzip" },
      });
      assert.equal(response.headers.get("x-asked"), "identity");
      assert.equal(response.headers.get("content-encoding"), null, encoding);
      assert.equal(
        await response.text(),
        `begin ${hidden} {"k":"Bearer ${hidden}"} end`,
        encoding,
      );
    }
    const refused = await get("/http/up/zstd");
    assert.equal(refused.status, 502);
    assert.match(await refused.text(), /encoding-refused/);
  });
  await upstream.shutdown();
});

Deno.test("forward() refuses what the service's rules refuse, before anything is sent", async () => {
  let reached = 0;
  const upstream = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => {
    reached++;
    return new Response("ok");
  });
  const services = service(upstream.addr.port, {
    allow: [{ methods: ["GET"], paths: ["v1/**"] }],
    deny: [{ paths: ["v1/admin/**"] }],
  });
  await withProxy({ services }, async ({ get, sockets }) => {
    assert.equal(await (await get("/http/up/v1/things")).text(), "ok");
    for (const path of ["/v2", "/v1/admin", "/v1/admin/x", "/v1/a/../admin/x", "/v1//admin"]) {
      const refused = await rawRequest(sockets.agent, `GET /http/up${path} HTTP/1.1`);
      assert.equal(refused.status, 403, path);
      assert.match(refused.text, /request-refused/);
    }
    const posted = await get("/http/up/v1/things", { method: "POST", body: "x" });
    assert.equal(posted.status, 403);
    const { error } = await posted.json();
    assert.match(error.message ?? error, /POST "\/v1\/things".*no allow rule/);
  });
  assert.equal(reached, 1);
  await upstream.shutdown();
});

Deno.test("forward() keeps an injected header when the caller names it in Connection", async () => {
  const upstream = mirror();
  await withProxy({ services: service(upstream.port) }, async ({ sockets }) => {
    const response = await rawRequest(
      sockets.agent,
      `GET /http/up/ HTTP/1.1
       Connection: x-api-key, authorization, x-hop
       X-Hop: 1`,
    );
    const seen = reached(response.text);
    assert.equal(seen.headers["x-api-key"], SECRET);
    assert.equal(seen.headers["x-hop"], undefined);
  });
  await upstream.stop();
});

Deno.test("forward() never leaves the base path", async () => {
  const upstream = mirror();
  await withProxy({ services: service(upstream.port) }, async ({ sockets }) => {
    const at = async (path: string) => {
      const response = await rawRequest(sockets.agent, `GET ${path} HTTP/1.1`);
      return response.status === 200
        ? new URL(reached(response.text).url).pathname
        : response.status;
    };
    assert.equal(await at("/http/up"), "/base/");
    assert.equal(await at("/http/up/a//b/./c/../d"), "/base/a/b/d");
    assert.equal(await at("/http/up/a%2fb"), "/base/a%2Fb");
    for (
      const path of ["/..", "/../x", "/%2e%2e/x", "/a/../../x", "/..%2fx", "/%2e%2e%2fx", "/..;/x"]
    ) assert.equal(await at(`/http/up${path}`), 400, path);
    assert.equal(await at("/http/up/%252e%252e%252fx"), 400);
    assert.equal(await at("http://evil.example/http/up/x"), "/base/x");
  });
  await upstream.stop();
});

Deno.test("forward() refuses methods that would echo or tunnel", async () => {
  const upstream = mirror();
  await withProxy({ services: service(upstream.port) }, async ({ sockets }) => {
    for (const method of ["TRACE", "CONNECT"]) {
      const { status, text } = await rawRequest(sockets.agent, `${method} /http/up/ HTTP/1.1`);
      assert.ok(status >= 400, method);
      assert.ok(!text.includes(SECRET));
    }
    const withBody = await rawRequest(
      sockets.agent,
      `GET /http/up/ HTTP/1.1
       Content-Length: 5`,
      "hello",
    );
    assert.equal(withBody.status, 400);
  });
  await upstream.stop();
});

Deno.test("forward() passes redirects on and drops headers that hold a secret", async () => {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) =>
      new Response("moved", {
        status: 302,
        headers: [
          ["location", "http://evil.example/"],
          ["x-echo", `you sent ${request.headers.get("x-api-key")}`],
          ["set-cookie", "session=1"],
          ["x-ok", "1"],
        ],
      }),
  );
  await withProxy({ services: service(server.addr.port) }, async ({ get, gate }) => {
    const response = await get("/http/up/");
    assert.equal(response.status, 302);
    assert.equal(response.headers.get("location"), "http://evil.example/");
    assert.equal(response.headers.get("x-echo"), null);
    assert.equal(response.headers.get("set-cookie"), null);
    assert.equal(response.headers.get("x-ok"), "1");
    assert.equal(await response.text(), "moved");
    assert.deepEqual(gate.asked, [`127.0.0.1:${server.addr.port}`]);
  });
  await server.shutdown();
});

Deno.test("forward() checks chain and name of a TLS upstream, and keeps its connection", async () => {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  const good = await makeCertificates(dir, "DNS:api.test,IP:127.0.0.1");
  const other = await makeCertificates(dir, "DNS:other.test");
  const upstream = mirror(good);
  const stranger = mirror(other);
  const at = (upstreamUrl: string, ca?: string): BoundService => ({
    upstream: upstreamUrl,
    inject_headers: { "x-api-key": SECRET },
    strip_headers: [],
    ...(ca === undefined ? {} : { ca }),
  });
  const services = {
    good: at("https://api.test/base", good.ca),
    address: at(`https://127.0.0.1:${upstream.port}`, good.ca),
    name: at(`https://wrong.test`, good.ca),
    chain: at("https://api.test", other.ca),
    roots: at("https://api.test"),
    leaf: at(`https://stranger.test`, other.ca),
  };
  const route = (target: string) => target.startsWith("stranger") ? stranger.port : upstream.port;
  await withProxy({ services }, async ({ get, gate }) => {
    for (let turn = 0; turn < 3; turn++) {
      const seen = reached(await (await get("/http/good/x")).text());
      assert.equal(seen.headers["x-api-key"], SECRET);
      assert.equal(seen.headers.host, "api.test");
      assert.equal(new URL(seen.url).pathname, "/base/x");
    }
    assert.deepEqual(gate.asked, ["api.test:443"]);
    assert.equal(reached(await (await get("/http/address/")).text()).headers["x-api-key"], SECRET);
    for (const name of ["name", "chain", "roots", "leaf"]) {
      const response = await get(`/http/${name}/`);
      const { error } = await response.json();
      assert.equal(response.status, 502, name);
      assert.equal(error.code, "tls-failed", `${name}: ${error.message}`);
    }
  }, { route });
  await upstream.stop();
  await stranger.stop();
  await Deno.remove(dir, { recursive: true });
});

Deno.test("forward() hands on why the gate refused, and says when the gate is away", async () => {
  const services = service(9);
  await withProxy({ services }, async ({ get, gate }) => {
    const refused = await get("/http/up/");
    assert.equal(refused.status, 403);
    const { error } = await refused.json();
    assert.equal(error.code, "egress-refused");
    assert.match(error.hint, /egress policy/);
    await gate.stop();
    const away = await get("/http/up/");
    assert.equal(away.status, 503);
    assert.equal((await away.json()).error.code, "egress-unavailable");
  }, { route: () => null });
});

Deno.test("forward() streams events as they come and tells the upstream when the caller leaves", async () => {
  const server = rawServer();
  await withProxy({ services: service(server.port) }, async ({ get }) => {
    const accepted = server.accept();
    const abort = new AbortController();
    const pending = get("/http/up/events", { signal: abort.signal });
    const connection = await accepted;
    await connection.until(/\r\n\r\n$/);
    await connection.send(
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    const response = await pending;
    const reader = response.body!.getReader();
    for (const data of ["one", "two", "three"]) {
      const event = `data: ${data}\n\n`;
      await connection.send(`${event.length.toString(16)}\r\n${event}\r\n`);
      const { value } = await reader.read();
      assert.equal(new TextDecoder().decode(value), event);
    }
    abort.abort();
    await connection.closed;
  });
  server.stop();
});

Deno.test("forward() breaks the caller's response off when the upstream breaks off", async () => {
  const server = rawServer();
  await withProxy({ services: service(server.port) }, async ({ get }) => {
    const accepted = server.accept();
    const pending = get("/http/up/");
    const connection = await accepted;
    await connection.until(/\r\n\r\n$/);
    await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    const response = await pending;
    connection.close();
    await assert.rejects(response.text());
  });
  server.stop();
});

Deno.test("forward() streams uploads chunked and delivers an early refusal", async () => {
  const server = rawServer();
  await withProxy({ services: service(server.port) }, async ({ get }) => {
    const accepted = server.accept();
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    const pending = get("/http/up/", { method: "PUT", body: readable });
    await writer.write(new TextEncoder().encode("first"));
    const connection = await accepted;
    await connection.until(/\r\n\r\n5\r\nfirst\r\n$/);
    assert.match(connection.received, /transfer-encoding: chunked/i);
    await connection.send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
    const response = await pending;
    assert.equal(response.status, 413);
    assert.equal(await response.text(), "no");
    await connection.closed;
    await writer.abort().catch(() => {});
  });
  server.stop();
});

Deno.test("forward() repeats a GET, and never a POST, when a kept connection died", async () => {
  const server = rawServer();
  await withProxy({ services: service(server.port) }, async ({ get }) => {
    const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    const serveOne = async () => {
      const connection = await server.accept();
      await connection.until(/\r\n\r\n$/);
      await connection.send(OK);
      return connection;
    };
    let serving = serveOne();
    await (await get("/http/up/1")).text();
    const first = await serving;
    // Dies with the next request on the wire, before any answer.
    const dying = first.until(/\/2 HTTP[^]*\r\n\r\n$/).then(() => first.close());
    serving = serveOne();
    assert.equal(await (await get("/http/up/2")).text(), "ok");
    await dying;
    const second = await serving;
    const dyingAgain = second.until(/POST [^]*\r\n\r\n$/).then(() => second.close());
    const response = await get("/http/up/3", { method: "POST" });
    assert.equal(response.status, 502);
    await response.body?.cancel();
    await dyingAgain;
  });
  server.stop();
});

Deno.test("forward() gives up a silent upstream by idle time", async () => {
  const server = rawServer();
  await withProxy({ services: service(server.port) }, async ({ get, proxy }) => {
    const accepted = server.accept();
    const response = await get("/http/up/");
    assert.equal(response.status, 504);
    assert.equal((await response.json()).error.code, "upstream-idle");
    await (await accepted).closed;
    assert.equal(proxy.state.stats().upstream_errors, 1);
  }, { idleTimeoutMs: 50, sweepMs: 20 });
  server.stop();
});

Deno.test("forward() answers HEAD, 204 and 304 without a body", async () => {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const status = Number(new URL(request.url).pathname.split("/").at(-1));
    return status === 200 ? new Response("x".repeat(70_000)) : new Response(null, { status });
  });
  await withProxy({ services: service(server.addr.port) }, async ({ get }) => {
    const head = await get("/http/up/200", { method: "HEAD" });
    assert.equal(head.headers.get("content-length"), "70000");
    assert.equal(await head.text(), "");
    for (const status of [204, 304]) {
      const response = await get(`/http/up/${status}`);
      assert.equal(response.status, status);
      assert.equal(await response.text(), "");
    }
    assert.equal((await (await get("/http/up/200")).text()).length, 70_000);
  });
  await server.shutdown();
});

Deno.test("forward() holds the upstream back when the caller does not read, over TLS too", async () => {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  const certificates = await makeCertificates(dir, "DNS:api.test");
  const piece = new Uint8Array(256 * 1024);
  for (const tls of [false, true]) {
    let produced = 0;
    const server = Deno.serve(
      {
        hostname: "127.0.0.1",
        port: 0,
        onListen() {},
        ...(tls ? { cert: certificates.cert, key: certificates.key } : {}),
      } as Deno.ServeTcpOptions,
      () =>
        new Response(
          new ReadableStream({
            pull(controller) {
              if (produced++ < 1024) controller.enqueue(piece);
              else controller.close();
            },
          }),
        ),
    );
    const port = server.addr.port;
    const services = {
      up: {
        upstream: tls ? `https://api.test` : `http://127.0.0.1:${port}`,
        inject_headers: {},
        strip_headers: [],
        ca: certificates.ca,
      },
    };
    await withProxy({ services }, async ({ get }) => {
      const response = await get("/http/up/");
      const reader = response.body!.getReader();
      await reader.read();
      // What every buffer on the way can hold is taken; then nothing moves until the caller reads.
      let before = -1;
      while (before !== produced) {
        before = produced;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      assert.ok(
        produced * piece.length < 32 * 1024 * 1024,
        `${produced} pieces of 1024 were taken`,
      );
      let received = 0;
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        received += next.value.length;
      }
      assert.ok(received > 1000 * piece.length);
    }, { route: () => port });
    await server.shutdown();
  }
  await Deno.remove(dir, { recursive: true });
});
