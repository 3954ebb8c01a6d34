// SPDX-License-Identifier: Apache-2.0

/** `forward.sock` as programs use it: real curl and openssl in front, real servers behind. */
import assert from "node:assert/strict";
import { bridgeTo, curl } from "../testing/bridge.ts";
import { makeCertificates, withProxy } from "../testing/harness.ts";
import { bytesOf, rawRequest, rawServer } from "../testing/raw.ts";

const SECRET = "s3cret-websocket-key";

const grant = (...actions: string[]) => ({ grants: [{ actions }] });

Deno.test("curl reaches over CONNECT what is granted, verifies it itself, and nothing else", async () => {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  const { ca, cert, key } = await makeCertificates(dir, "DNS:api.test,DNS:other.test");
  await Deno.writeTextFile(`${dir}/ca.pem`, ca);
  const body = "x".repeat(300_000);
  const upstream = Deno.serve(
    { hostname: "127.0.0.1", port: 0, cert, key, onListen() {} },
    (request) => new Response(new URL(request.url).pathname === "/echo" ? request.body : body),
  );
  const { port } = upstream.addr;
  const state = grant(`forward/api.test/${port}`);
  await withProxy(state, async ({ sockets, proxy, gate }) => {
    const bridge = bridgeTo(sockets.forward);
    const through = ["--proxy", `http://127.0.0.1:${bridge.port}`, "--cacert", `${dir}/ca.pem`];
    const fetched = await curl(...through, `https://api.test:${port}/`);
    assert.equal(fetched.stdout, body, fetched.stderr);
    const echoed = await curl(
      ...through,
      ...["--data-binary", `@${dir}/ca.pem`, `https://api.test:${port}/echo`],
    );
    assert.equal(echoed.stdout, ca, echoed.stderr);
    assert.deepEqual(new Set(gate.asked), new Set([`api.test:${port}`]));

    const refused = await curl(...through, `https://other.test:${port}/`);
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /403/);
    const asked = gate.asked.length;
    // Another name inside the tunnel: the upstream would answer it, the tunnel was not opened for it.
    const fronted = await curl(
      ...through,
      ...["--connect-to", `other.test:${port}:api.test:${port}`, `https://other.test:${port}/`],
    );
    assert.notEqual(fronted.code, 0);
    assert.match(fronted.stderr, /alert access denied/i);
    assert.equal(gate.asked.length, asked + 1);
    assert.equal(proxy.state.stats().refused, 2);
    bridge.stop();
  }, { route: (target) => Number(target.split(":")[1]) });
  // The control: with a grant for it the other name goes through.
  await withProxy(grant("forward/**"), async ({ sockets }) => {
    const bridge = bridgeTo(sockets.forward);
    const through = ["--proxy", `http://127.0.0.1:${bridge.port}`, "--cacert", `${dir}/ca.pem`];
    assert.equal((await curl(...through, `https://other.test:${port}/`)).stdout, body);
    bridge.stop();
  });
  await upstream.shutdown();
  await Deno.remove(dir, { recursive: true });
});

Deno.test("a tunnel carries other protocols only where that is granted", async () => {
  const server = rawServer();
  const talk = async (socket: string) => {
    using connection = await Deno.connect({ transport: "unix", path: socket });
    await connection.write(bytesOf(
      `CONNECT db.test:${server.port} HTTP/1.1\r\nHost: db.test\r\n\r\nSSH-2.0-x\r\n`,
    ));
    let text = "";
    const buffer = new Uint8Array(4096);
    while (true) {
      const count = await connection.read(buffer).catch(() => null);
      if (count === null) return text;
      text += String.fromCharCode(...buffer.subarray(0, count));
      if (text.includes("hello")) return text;
    }
  };
  await withProxy(grant("forward/**"), async ({ sockets }) => {
    const [text, upstream] = await Promise.all([talk(sockets.forward), server.accept()]);
    assert.match(text, /^HTTP\/1\.1 200 /);
    // A TLS alert.
    assert.equal(text.split("\r\n\r\n")[1]!.charCodeAt(0), 21);
    await upstream.closed;
    assert.equal(upstream.received, "");
  });
  await withProxy(grant("tunnel/db.test/*"), async ({ sockets }) => {
    const talking = talk(sockets.forward);
    const upstream = await server.accept();
    await upstream.until(/SSH-2\.0-x/);
    await upstream.send("hello");
    assert.match(await talking, /hello$/);
  });
  server.stop();
});

Deno.test("a program without a grant hears the rule, and a malformed request does no harm", async () => {
  await withProxy(grant("forward/api.test/443"), async ({ sockets, gate }) => {
    for (
      const [head, status, pattern] of [
        ["CONNECT evil.test:443 HTTP/1.1", 403, /forward\/evil\.test\/443/],
        ["CONNECT api.test:22 HTTP/1.1", 403, /forward\/api\.test\/22/],
        ["CONNECT API.test.:443 HTTP/1.0", 200, /^/],
        ["CONNECT api.test HTTP/1.1", 400, /host:port/],
        ["CONNECT 0x7f.1:443 HTTP/1.1", 400, /host:port/],
        ["CONNECT user@api.test:443 HTTP/1.1", 400, /host:port/],
        ["GET http://evil.test/ HTTP/1.1", 403, /forward\/evil\.test\/80/],
        ["GET http://api.test@evil.test/ HTTP/1.1", 400, /http:\/\//],
        ["GET / HTTP/1.1", 400, /proxy\.sock/],
        ["GET /v1/identity HTTP/1.1", 400, /proxy\.sock/],
        ["BREW / TEA", 400, /request line/],
      ] as const
    ) {
      if (status === 200) continue;
      const answer = await rawRequest(sockets.forward, head);
      assert.equal(answer.status, status, head);
      assert.match(answer.text, pattern, head);
    }
    assert.deepEqual(gate.asked, []);
  });
});

Deno.test("plain http:// goes in origin form, without what speaks to the proxy", async () => {
  const seen: { url: string; headers: Headers }[] = [];
  const upstream = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) => {
      seen.push({ url: request.url, headers: new Headers(request.headers) });
      return new Response(`${request.method} ${await request.text()}`);
    },
  );
  const { port } = upstream.addr;
  await withProxy(grant(`forward/deb.test/${port}`), async ({ sockets }) => {
    const bridge = bridgeTo(sockets.forward);
    const answer = await curl(
      ...["--proxy", `http://127.0.0.1:${bridge.port}`, "--proxy-user", "a:b", "--data", "body"],
      `http://deb.test:${port}/pool/x?y=1`,
    );
    assert.equal(answer.stdout, "POST body", answer.stderr);
    const [request] = seen;
    assert.equal(request!.url, `http://deb.test:${port}/pool/x?y=1`);
    assert.equal(request!.headers.get("proxy-authorization"), null);
    assert.equal(request!.headers.get("proxy-connection"), null);
    bridge.stop();
  });
  await upstream.shutdown();
});

Deno.test("a WebSocket to a service carries its credentials, both ways, and never echoes them", async () => {
  const upstream = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const key = request.headers.get("x-api-key");
    if (key !== SECRET) return new Response("no", { status: 401 });
    const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
    socket.onopen = () => socket.send(`key ${key}`);
    socket.onmessage = ({ data }) => socket.send(data);
    return response;
  });
  const service = (key: string) => ({
    up: {
      upstream: `http://127.0.0.1:${upstream.addr.port}/base`,
      inject_headers: { "X-Api-Key": key },
      strip_headers: [],
      deny: [{ paths: ["denied"] }],
    },
  });
  await withProxy({ services: service(SECRET) }, async ({ sockets }) => {
    const client = Deno.createHttpClient({ proxy: { transport: "unix", path: sockets.forward } });
    const open = (path: string) => new WebSocket(`ws://192.0.2.1/http/up/${path}`, { client });
    const socket = open("chat?x=1");
    const messages: unknown[] = [];
    const got = Promise.withResolvers<void>();
    const large = "y".repeat(1_000_000);
    socket.onopen = () => {
      for (const text of ["one", large, `say ${SECRET}`, "ends in s3cret"]) socket.send(text);
    };
    socket.onmessage = ({ data }) => {
      if (messages.push(data) === 5) got.resolve();
    };
    socket.onerror = (event) => got.reject((event as ErrorEvent).error ?? new Error("it failed"));
    await got.promise;
    const stars = "*".repeat(SECRET.length);
    assert.deepEqual(messages, [`key ${stars}`, "one", large, `say ${stars}`, "ends in s3cret"]);
    const closed = Promise.withResolvers<void>();
    socket.onclose = () => closed.resolve();
    socket.close();
    await closed.promise;
    const refused = Promise.withResolvers<void>();
    open("denied").onerror = () => refused.resolve();
    await refused.promise;
    client.close();
  });
  await withProxy({ services: service("wrong") }, async ({ sockets }) => {
    const answer = await rawRequest(
      sockets.forward,
      `GET /http/up/ HTTP/1.1
       Upgrade: websocket
       Sec-WebSocket-Version: 13
       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==`,
    );
    assert.equal(answer.status, 401);
    assert.match(answer.text, /upgrade-refused/);
  });
  await upstream.shutdown();
});

Deno.test("what is silent is closed, and a stopped proxy leaves no tunnel", async () => {
  const server = rawServer();
  let now = 1_000_000;
  const clock = { now: () => now, sleep: () => Promise.resolve() };
  await withProxy(grant("tunnel/**"), async ({ sockets }) => {
    using slow = await Deno.connect({ transport: "unix", path: sockets.forward });
    await slow.write(bytesOf("CONNECT db.test:"));
    using tunnel = await Deno.connect({ transport: "unix", path: sockets.forward });
    await tunnel.write(bytesOf(`CONNECT db.test:${server.port} HTTP/1.1\r\n\r\nhello`));
    const upstream = await server.accept();
    await upstream.until(/hello/);
    now += 31_000;
    // The head that never ends is given up; the tunnel is only quiet.
    while ((await slow.read(new Uint8Array(1024)).catch(() => null)) !== null);
    await tunnel.write(bytesOf("more"));
    await upstream.until(/more/);
    now += 700_000;
    await upstream.closed;
  }, { clock, sweepMs: 5 });
  server.stop();
});
