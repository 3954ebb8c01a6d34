// SPDX-License-Identifier: Apache-2.0

/** Real curl on the bridge's port, plain servers on the two sockets. */
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { Bridge } from "./bridge.ts";
import { routeOf } from "./head.ts";

async function curl(...args: string[]): Promise<string> {
  const { stdout, stderr } = await new Deno.Command("curl", {
    args: ["--silent", "--show-error", "--max-time", "60", ...args],
    clearEnv: true,
    env: { PATH: "/usr/bin:/bin" },
  }).output();
  return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}

Deno.test("routeOf() sends what needs the connection itself to forward.sock, however it is cut", () => {
  for (
    const [head, route] of [
      ["CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n", "forward"],
      ["GET http://a.test/ HTTP/1.1\r\n\r\n", "forward"],
      ["GET /http/x HTTP/1.1\r\nUpgrade: WebSocket\r\n\r\n", "forward"],
      ["GET /http/x HTTP/1.1\r\nUpgrade: h2c\r\n\r\n", "proxy"],
      ["POST /v1/matrix/message HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", "proxy"],
      ["GET /?q=http://a.test/ HTTP/1.1\r\n\r\n", "proxy"],
      ["\x16\x03\x01\x02\x00", "proxy"],
    ] as const
  ) {
    const bytes = new TextEncoder().encode(head);
    assert.equal(routeOf(bytes), route, head);
    const end = head.indexOf("\r\n\r\n");
    for (let length = 0; length < end; length++) {
      assert.equal(routeOf(bytes.subarray(0, length)), "more", `${head}: ${length} bytes`);
    }
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    routeOf(bytes);
  }));
  assert.equal(routeOf(new Uint8Array(70_000).fill(65)), "proxy");
});

Deno.test("programs reach the proxy through the bridge, and hear when it is away", async () => {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  const sockets = { proxy: `${dir}/proxy.sock`, forward: `${dir}/forward.sock` };
  const serve = (path: string, name: string) =>
    Deno.serve(
      { path, onListen() {} },
      async (request) =>
        new Response(
          `${name} ${request.method} ${new URL(request.url).pathname} ${
            (await request.text()).length
          }`,
        ),
    );
  const bridge = new Bridge({
    port: 0,
    proxySocket: sockets.proxy,
    forwardSocket: sockets.forward,
    connectTries: 3,
  });
  const base = `http://127.0.0.1:${bridge.port}`;
  assert.match(await curl(`${base}/health`), /"code":"proxy-away"/);
  const proxy = serve(sockets.proxy, "proxy");
  const forward = serve(sockets.forward, "forward");
  assert.equal(await curl(`${base}/health`), "proxy GET /health 0");
  await Deno.writeTextFile(`${dir}/large`, "x".repeat(3_000_000));
  assert.equal(
    await curl("--data-binary", `@${dir}/large`, `${base}/http/x`),
    "proxy POST /http/x 3000000",
  );
  assert.equal(await curl("--proxy", base, "http://a.test/x"), "forward GET /x 0");
  await Promise.all([proxy.shutdown(), forward.shutdown(), bridge.close()]);
  await Deno.remove(dir, { recursive: true });
});

Deno.test("a connection whose head never ends is closed; one that goes on is not", async () => {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  const proxySocket = `${dir}/proxy.sock`;
  const listener = Deno.listen({ transport: "unix", path: proxySocket });
  const bridge = new Bridge({
    port: 0,
    proxySocket,
    forwardSocket: proxySocket,
    headDeadlineMs: 300,
  });
  const open = () => Deno.connect({ hostname: "127.0.0.1", port: bridge.port });
  const bytes = new Uint8Array(100);
  using routed = await open();
  await routed.write(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
  using proxy = await listener.accept();
  using silent = await open();
  using slow = await open();
  await slow.write(new TextEncoder().encode("GET / HTTP/1.1\r\nX: "));
  for (const left of [silent, slow]) {
    assert.equal(await left.read(bytes).catch(() => null), null);
  }
  // Its head was there in time: from then on it is the proxy's.
  assert.equal(await proxy.read(bytes), 18);
  await proxy.write(new TextEncoder().encode("late"));
  assert.equal(await routed.read(bytes), 4);
  listener.close();
  await bridge.close();
  await Deno.remove(dir, { recursive: true });
});
