// SPDX-License-Identifier: Apache-2.0

/** TLS that ends in the proxy: real curl, openssl and Python in front, a real TLS server behind. */
import assert from "node:assert/strict";
import type { EgressAuthority, ProxyBootstrap } from "../api.ts";
import { makeAuthority } from "../testing/authority.ts";
import { bridgeTo, curl, type TestBridge } from "../testing/bridge.ts";
import { type Harness, makeCertificates, withProxy } from "../testing/harness.ts";
import { rawServer } from "../testing/raw.ts";

const PLACEHOLDER = "bureau-placeholder-api-0123456789abcdef0123456789abcdef";
const OTHERS = "bureau-placeholder-other-ffffffffffffffffffffffffffffffff";
const SECRET = 's3cret/"+value';
const OTHERS_SECRET = "quite-another-secret";

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  readonly body: string;
}

interface Bed extends Harness {
  readonly port: number;
  readonly seen: Seen[];
  /** Curl through the proxy, with the principal's authority. */
  ask(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }>;
  readonly bridge: TestBridge;
  readonly authority: EgressAuthority;
  readonly authorityPath: string;
  /** A TLS connection to `host` through the proxy, for bytes that no client would send. */
  open(host: string): Promise<Deno.TlsConn>;
}

/** An upstream that says back what it got, as `api.test` and `other.test`. */
async function withUpstream(
  body: (bed: Bed) => Promise<void>,
  fields: (port: number) => Partial<ProxyBootstrap> = () => ({}),
  answer?: (request: Request) => Response | null,
): Promise<void> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  const { ca, cert, key } = await makeCertificates(dir, "DNS:api.test,DNS:other.test");
  const seen: Seen[] = [];
  const upstream = Deno.serve(
    { hostname: "127.0.0.1", port: 0, cert, key, onListen() {}, onError: () => new Response("") },
    async (request) => {
      const special = answer?.(request) ?? null;
      if (special !== null) return special;
      const text = await request.text();
      seen.push({ method: request.method, url: request.url, headers: request.headers, body: text });
      const key = request.headers.get("x-key") ?? "";
      return Response.json({ url: request.url, headers: [...request.headers], body: text }, {
        headers: [
          ["set-cookie", "session=1; Path=/"],
          ["set-cookie", `key=${encodeURIComponent(key)}`],
          ["x-echo", key],
        ],
      });
    },
  );
  const { port } = upstream.addr;
  const authority = await makeAuthority();
  await Deno.writeTextFile(`${dir}/authority.pem`, authority.certificate);
  const bootstrap: Partial<ProxyBootstrap> = {
    egress_authority: authority,
    placeholders: [
      { placeholder: PLACEHOLDER, value: SECRET, hosts: [`api.test:${port}`], ca },
      { placeholder: OTHERS, value: OTHERS_SECRET, hosts: [`other.test:${port}`], ca },
    ],
    ...fields(port),
  };
  await withProxy(bootstrap, async (harness) => {
    const bridge = bridgeTo(harness.sockets.forward);
    try {
      await body({
        ...harness,
        port,
        seen,
        bridge,
        authority,
        authorityPath: `${dir}/authority.pem`,
        ask: (...args) =>
          curl(
            ...["--proxy", `http://127.0.0.1:${bridge.port}`, "--cacert", `${dir}/authority.pem`],
            ...args,
          ),
        async open(host) {
          const tcp = await Deno.connect({ hostname: "127.0.0.1", port: bridge.port });
          await tcp.write(new TextEncoder().encode(`CONNECT ${host}:${port} HTTP/1.1\r\n\r\n`));
          const buffer = new Uint8Array(200);
          const count = await tcp.read(buffer);
          assert.match(new TextDecoder().decode(buffer.subarray(0, count!)), /^HTTP\/1.1 200 /);
          return await Deno.startTls(tcp, { hostname: host, caCerts: [authority.certificate] });
        },
      });
    } finally {
      bridge.stop();
    }
  }, { route: () => port });
  await upstream.shutdown();
  await Deno.remove(dir, { recursive: true });
}

/** Sends, and reads until the other side closes. */
async function talk(connection: Deno.TlsConn, text: string): Promise<string> {
  await connection.write(new TextEncoder().encode(text));
  let received = "";
  const buffer = new Uint8Array(65_536);
  while (true) {
    const count = await connection.read(buffer).catch(() => null);
    if (count === null) break;
    received += new TextDecoder().decode(buffer.subarray(0, count));
  }
  connection.close();
  return received;
}

const times = (text: string, part: string) => text.split(part).length - 1;

Deno.test("a placeholder is swapped wherever it stands, and the secret never comes back", async () => {
  await withUpstream(async ({ ask, port, seen, proxy }) => {
    const url = `https://api.test:${port}`;
    const answers = [
      await ask("-H", `X-Key: ${PLACEHOLDER}`, `${url}/bot${PLACEHOLDER}/x?k=${PLACEHOLDER}`),
      await ask("--user", `me:${PLACEHOLDER}`, url),
      await ask("--json", JSON.stringify({ key: PLACEHOLDER }), url),
      await ask("--data-urlencode", `key=${PLACEHOLDER}`, url),
      await ask("-H", "Content-Type: text/plain", "--data", `say ${PLACEHOLDER}`, url),
    ];
    for (const { stdout, stderr } of answers) {
      assert.match(stdout, /^\{/, stderr);
      assert.ok(!stdout.includes(SECRET) && !stdout.includes("s3cret"), stdout);
      assert.ok(!stdout.includes(btoa(`me:${SECRET}`)), stdout);
    }
    const [first, basic, json, form, plain] = seen;
    assert.equal(first!.headers.get("x-key"), SECRET);
    const { pathname, searchParams } = new URL(first!.url);
    assert.equal(decodeURIComponent(pathname), `/bot${SECRET}/x`);
    assert.equal(searchParams.get("k"), SECRET);
    assert.equal(basic!.headers.get("authorization"), `Basic ${btoa(`me:${SECRET}`)}`);
    assert.equal(JSON.parse(json!.body).key, SECRET);
    assert.equal(json!.headers.get("content-length"), String(json!.body.length));
    assert.equal(new URLSearchParams(form!.body).get("key"), SECRET);
    assert.equal(plain!.body, `say ${SECRET}`);
    assert.equal(proxy.state.stats().misplaced, 0);
    const headers = await ask("-D", "-", "-o", "/dev/null", "-H", `X-Key: ${PLACEHOLDER}`, url);
    assert.ok(!headers.stdout.includes("s3cret"));
    assert.match(headers.stdout, /x-echo: \*/);
    // A session is the program's own; a cookie that holds the secret is not.
    assert.deepEqual(headers.stdout.match(/^set-cookie: .*$/gim)?.map((line) => line.trim()), [
      "set-cookie: session=1; Path=/",
    ]);
    await ask("-H", "Cookie: session=1", url);
    assert.equal(seen.at(-1)!.headers.get("cookie"), "session=1");
  });
});

Deno.test("a placeholder never goes to another host than its own", async () => {
  const attempts = (url: string) => [
    ["-H", `X-Key: ${OTHERS}`, url],
    ["--user", `me:${OTHERS}`, url],
    [`${url}/${OTHERS}`],
    [`${url}/?k=${OTHERS.replaceAll("-", "%2D")}`],
    ["--json", `{"k":"${OTHERS}"}`, url],
    ["-H", "Transfer-Encoding: chunked", "--data", `${"x".repeat(100_000)}${OTHERS}`, url],
  ];
  await withUpstream(async ({ ask, port, seen, proxy, gate }) => {
    for (const [at, attempt] of attempts(`https://api.test:${port}`).entries()) {
      const { stdout } = await ask(...attempt);
      assert.match(stdout, /placeholder-wrong-host/, String(at));
      assert.match(stdout, new RegExp(OTHERS));
    }
    assert.equal(proxy.state.stats().misplaced, 6);
    const bodies = JSON.stringify(seen);
    assert.ok(!bodies.includes(OTHERS) && !bodies.includes(OTHERS_SECRET));
    // In the clear to anywhere but this machine no placeholder is swapped at all.
    const asked = gate.asked.length;
    const { stdout } = await ask("-H", `X: ${PLACEHOLDER}`, `http://api.test:${port}/`);
    assert.match(stdout, /placeholder-wrong-host/);
    assert.equal(gate.asked.length, asked);
    // The control: at its own host the same is swapped.
    for (const attempt of attempts(`https://other.test:${port}`)) {
      const { stdout } = await ask(...attempt);
      assert.match(stdout, /^\{"url"/);
    }
    assert.equal(
      seen.filter((one) => JSON.stringify([one, ...one.headers]).includes(OTHERS)).length,
      0,
    );
    assert.ok(times(JSON.stringify(seen.map((one) => [one, ...one.headers])), OTHERS_SECRET) >= 5);
  });
});

Deno.test("a request for another name inside the tunnel is refused", async () => {
  await withUpstream(async ({ open, seen }) => {
    const get = (host: string) =>
      `GET / HTTP/1.1\r\nHost: ${host}\r\nX-Key: ${PLACEHOLDER}\r\nConnection: close\r\n\r\n`;
    assert.match(await talk(await open("api.test"), get("other.test")), /^HTTP\/1.1 421 /);
    assert.equal(seen.length, 0);
  });
});

Deno.test("several requests share a connection; what frames two ways is refused", async () => {
  await withUpstream(async ({ open, port, seen }) => {
    const host = `Host: api.test:${port}\r\n`;
    const post = (headers: string, body: string) =>
      `POST / HTTP/1.1\r\n${host}${headers}\r\n${body}`;
    const received = await talk(
      await open("api.test"),
      post(`Content-Length: ${PLACEHOLDER.length}\r\n`, PLACEHOLDER) +
        post(
          "Transfer-Encoding: chunked\r\n",
          `4\r\nbure\r\n${(PLACEHOLDER.length - 4).toString(16)}\r\n${
            PLACEHOLDER.slice(4)
          }\r\n0\r\nX-Trailer: 1\r\n\r\n`,
        ) +
        `HEAD / HTTP/1.1\r\n${host}\r\n` +
        `GET https://api.test:${port}/absolute HTTP/1.1\r\n${host}Connection: close\r\n\r\n`,
    );
    assert.equal(times(received, "HTTP/1.1 200 OK"), 4);
    assert.deepEqual(seen.map(({ method, body }) => [method, body]), [
      ["POST", SECRET],
      ["POST", SECRET],
      ["HEAD", ""],
      ["GET", ""],
    ]);
    for (
      const headers of [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: +4\r\n",
        "Content-Length : 4\r\n",
      ]
    ) {
      const text = await talk(await open("api.test"), post(headers, "0\r\n\r\nGET /smuggled"));
      assert.match(text, /^HTTP\/1.1 400 /, headers);
    }
    assert.equal(seen.length, 4);
  });
});

Deno.test("bodies without a content, early 100s and HTTP/1.0 keep their form", async () => {
  await withUpstream(
    async ({ open, port, ask }) => {
      const host = `Host: api.test:${port}\r\n`;
      const head = (path: string, more = "Connection: close\r\n") =>
        `GET ${path} HTTP/1.1\r\n${host}${more}\r\n`;
      assert.match(await talk(await open("api.test"), head("/204")), /^HTTP\/1.1 204 .*\r\n\r\n$/s);
      assert.match(await talk(await open("api.test"), head("/304")), /^HTTP\/1.1 304 .*\r\n\r\n$/s);
      const old = await talk(await open("api.test"), `GET /stream HTTP/1.0\r\n${host}\r\n`);
      assert.match(old, /connection: close.*\r\n\r\none two$/s);
      assert.doesNotMatch(old, /chunked/);
      assert.match(await talk(await open("api.test"), head("/stream")), /chunked.*\r\n0\r\n\r\n$/s);
      const redirected = await ask("-D", "-", `https://api.test:${port}/redirect`);
      assert.match(redirected.stdout, /\nHTTP\/1.1 302 .*location: https:\/\/other.test\/x/s);
      const expected = await ask(
        ...["-v", "-H", "Expect: 100-continue", "--data", "x", `https://api.test:${port}/echo`],
      );
      assert.match(expected.stderr, /< HTTP\/1.1 100 Continue/);
    },
    undefined,
    (request) => {
      switch (new URL(request.url).pathname) {
        case "/204":
          return new Response(null, { status: 204 });
        case "/304":
          return new Response(null, { status: 304, headers: { etag: "x" } });
        case "/redirect":
          return new Response(null, { status: 302, headers: { location: "https://other.test/x" } });
        case "/stream":
          return new Response(
            ReadableStream.from(["one ", "two"]).pipeThrough(new TextEncoderStream()),
          );
      }
      return null;
    },
  );
});

Deno.test("methods and paths of one host are ruled, from the start and when the rules change", async () => {
  const rules = (port: number) => ({
    allow: [{ host: `api.test:${port}`, methods: ["GET"], paths: ["v1/**"] }],
    deny: [{ host: `api.test:${port}`, paths: ["v1/secret/**"] }],
  });
  await withUpstream(async ({ ask, open, admin, port, seen }) => {
    const status = async (...args: string[]) =>
      (await ask("-o", "/dev/null", "-w", "%{http_code}", "--path-as-is", ...args)).stdout;
    const url = `https://api.test:${port}`;
    assert.equal(await status(`${url}/v1/a`), "200");
    assert.equal(await status("--data", "x", `${url}/v1/a`), "403");
    assert.equal(await status(`${url}/v2`), "403");
    assert.equal(await status(`${url}/v1/x/../../v2`), "403");
    assert.equal(await status(`${url}/v1/secret/a`), "403");
    assert.equal(await status(`${url}/v1//secret/a`), "403");
    assert.equal(await status(`${url}/v1/%73ecret/a`), "403");
    assert.equal(await status(`${url}/v1/..%2fv2`), "400");
    assert.equal(await status(`http://api.test:${port}/v2`), "403");
    const { stdout } = await ask(`${url}/v2`);
    assert.match(stdout, /request-refused.*no allow rule of its egress policy/);
    assert.equal(seen.length, 1);

    // A connection that stands hears of new rules.
    using connection = await open("api.test");
    const put = await admin("/v1/egress", {
      method: "PUT",
      body: JSON.stringify({ allow: [{ host: `api.test:${port}`, paths: ["v2"] }], deny: [] }),
    });
    assert.deepEqual(await put.json(), { count: 1 });
    await connection.write(
      new TextEncoder().encode(`GET /v1/a HTTP/1.1\r\nHost: api.test:${port}\r\n\r\n`),
    );
    const buffer = new Uint8Array(4096);
    const count = await connection.read(buffer);
    assert.match(new TextDecoder().decode(buffer.subarray(0, count!)), /^HTTP\/1.1 403 /);
    assert.equal(await status(`${url}/v2`), "200");
    const bad = await admin("/v1/egress", {
      method: "PUT",
      body: `{"allow":[{"paths":[]}],"deny":[]}`,
    });
    assert.equal(bad.status, 400);
    await bad.body?.cancel();
    assert.equal(await status(`${url}/v2`), "200");
  }, (port) => ({ egress: rules(port) }));
});

Deno.test("a blind tunnel ends when its host gets rules", async () => {
  const server = rawServer();
  await withProxy({ egress_authority: await makeAuthority() }, async ({ sockets, admin }) => {
    using connection = await Deno.connect({ transport: "unix", path: sockets.forward });
    await connection.write(
      new TextEncoder().encode(`CONNECT db.test:${server.port} HTTP/1.1\r\n\r\nhello`),
    );
    const upstream = await server.accept();
    await upstream.until(/hello/);
    const put = (host: string) =>
      admin("/v1/egress", {
        method: "PUT",
        body: JSON.stringify({ allow: [{ host, paths: ["x"] }], deny: [] }),
      }).then((response) => response.body?.cancel());
    await put(`else.test:${server.port}`);
    await connection.write(new TextEncoder().encode("more"));
    await upstream.until(/more/);
    await put(`db.test:${server.port}`);
    await upstream.closed;
  });
  server.stop();
});

Deno.test("a long body is swapped while it flows, both framings", async () => {
  await withUpstream(async ({ ask, dir, port, seen }) => {
    const filler = "0123456789".repeat(30_000);
    const text = `${filler}${PLACEHOLDER}${filler}${PLACEHOLDER}`;
    await Deno.writeTextFile(`${dir}/body`, text);
    const wanted = text.replaceAll(PLACEHOLDER, SECRET);
    const url = `https://api.test:${port}/`;
    for (const more of [[], ["-H", "Transfer-Encoding: chunked"]]) {
      const args = ["-H", "Content-Type: text/plain", ...more, "--data-binary", `@${dir}/body`];
      const { stdout } = await ask(...args, url);
      assert.ok(!stdout.includes("s3cret"));
      assert.equal(seen.pop()!.body, wanted);
    }
    // What is compressed is passed on as it is, with its length.
    await ask("-H", "Content-Encoding: gzip", "--data-binary", `@${dir}/body`, url);
    const raw = seen.pop()!;
    assert.equal(raw.body, text);
    assert.equal(raw.headers.get("content-length"), String(text.length));
  });
});

Deno.test("openssl and Python verify what they are shown; who doesn't trust the authority is not served", async () => {
  await withUpstream(async ({ authorityPath, dir, bridge, port, seen }) => {
    const url = `https://api.test:${port}/`;
    const proxy = `http://127.0.0.1:${bridge.port}`;
    const untrusting = await curl("--proxy", proxy, url);
    assert.equal(untrusting.code, 60, untrusting.stderr);
    assert.equal(seen.length, 0);
    const run = async (command: string, args: string[]) => {
      const { stdout, stderr } = await new Deno.Command(command, { args, stdin: "null" }).output();
      return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    };
    const shown = await run("openssl", [
      ...["s_client", "-proxy", `127.0.0.1:${bridge.port}`, "-connect", `api.test:${port}`],
      ...["-servername", "api.test", "-verify_hostname", "api.test", "-x509_strict"],
      ...["-verify_return_error", "-CAfile", authorityPath],
    ]);
    assert.match(shown, /Verify return code: 0 \(ok\)/);
    await Deno.writeTextFile(
      `${dir}/get.py`,
      `import ssl, urllib.request as u
context = ssl.create_default_context(cafile=${JSON.stringify(authorityPath)})
context.verify_flags |= ssl.VERIFY_X509_STRICT
opener = u.build_opener(u.ProxyHandler({"https": "${proxy}"}), u.HTTPSHandler(context=context))
print(opener.open(u.Request("${url}", headers={"X-Key": "${PLACEHOLDER}"})).status)
`,
    );
    assert.match(await run("python3", [`${dir}/get.py`]), /^200/);
    assert.equal(seen.at(-1)!.headers.get("x-key"), SECRET);
  });
});

Deno.test("a WebSocket's messages are swapped and scrubbed", async () => {
  await withUpstream(
    async ({ bridge, authority, port, proxy }) => {
      const client = Deno.createHttpClient({
        proxy: { url: `http://127.0.0.1:${bridge.port}` },
        caCerts: [authority.certificate],
      });
      const socket = new WebSocket(`wss://api.test:${port}/?k=${PLACEHOLDER}`, { client });
      const messages: unknown[] = [];
      const got = Promise.withResolvers<void>();
      const closed = Promise.withResolvers<void>();
      const long = `${"x".repeat(200_000)}${PLACEHOLDER}`;
      socket.onopen = () => {
        socket.send(`say ${PLACEHOLDER}`);
        socket.send(JSON.stringify({ token: PLACEHOLDER }));
        socket.send(long);
        socket.send("ends in s3cret");
      };
      socket.onmessage = ({ data }) => {
        if (messages.push(data) === 5) got.resolve();
      };
      socket.onclose = () => closed.resolve();
      socket.onerror = (event) => got.reject((event as ErrorEvent).error ?? new Error("it failed"));
      await got.promise;
      // The upstream says how long what it got is, and repeats it.
      const stars = "*".repeat(SECRET.length);
      const json = JSON.stringify({ token: SECRET });
      assert.equal(messages[0], stars);
      assert.equal(messages[1], `${4 + SECRET.length}:say ${stars}`);
      assert.ok(String(messages[2]).startsWith(`${json.length}:`));
      assert.ok(!String(messages[2]).includes("s3cret"));
      assert.equal(messages[3], `${200_000 + SECRET.length}:${"x".repeat(200_000)}${stars}`);
      // Nothing follows that it could have waited for.
      assert.equal(messages[4], "14:ends in s3cret");
      socket.onerror = () => {};
      socket.send(`take ${OTHERS}`);
      await closed.promise;
      assert.equal(messages.length, 5);
      assert.equal(proxy.state.stats().misplaced, 1);
      client.close();
    },
    undefined,
    (request) => {
      if (request.headers.get("upgrade") !== "websocket") return null;
      const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
      socket.onopen = () => socket.send(new URL(request.url).searchParams.get("k")!);
      socket.onmessage = ({ data }) => socket.send(`${data.length}:${data}`);
      return response;
    },
  );
});
