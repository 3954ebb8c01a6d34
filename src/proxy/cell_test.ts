// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { makeAuthority } from "./testing/authority.ts";
import { bridgeTo, curl } from "./testing/bridge.ts";
import { buildRuntime, startCell } from "./testing/cell.ts";
import { startGate } from "./testing/gate.ts";
import { bootstrapWith, makeCertificates } from "./testing/harness.ts";
import { rawRequest } from "./testing/raw.ts";

const SECRET = "s3cret-api-key";

/** Waits until the process has given back what its start took. */
async function settlesBelow(pid: number, megabytes: number): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (true) {
    const text = await Deno.readTextFile(`/proc/${pid}/smaps_rollup`);
    const held = Number(/^Private_Dirty:\s+(\d+)/m.exec(text)![1]) / 1024;
    if (held <= megabytes) return;
    assert.ok(performance.now() < deadline, `${held} MB private, more than ${megabytes}`);
  }
}

Deno.test("the proxy process serves from a cell without a network, with its static permissions", async () => {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  const runtime = await buildRuntime(dir);
  const bundle = await Deno.readTextFile(`${runtime}/proxy.js`);
  assert.ok(!/zod|ZodMini/.test(bundle), "no schema library in a per-principal process");
  const certificates = await makeCertificates(dir, "DNS:api.test");
  const upstream = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen() {},
    cert: certificates.cert,
    key: certificates.key,
  }, (request) => new Response(`right: ${request.headers.get("x-api-key") === SECRET}`));
  await Deno.mkdir(`${dir}/egress`);
  const gate = await startGate({
    path: `${dir}/egress/egress.sock`,
    route: () => upstream.addr.port,
  });
  const cell = await startCell(
    dir,
    runtime,
    bootstrapWith({
      services: {
        api: {
          upstream: "https://api.test",
          inject_headers: { "x-api-key": SECRET },
          strip_headers: [],
          ca: certificates.ca,
        },
      },
    }),
  );
  assert.deepEqual(cell.announcement, { ready: true });
  const pid = await cell.pid();
  await settlesBelow(pid, 12);
  const response = await rawRequest(cell.sockets.agent, "GET /http/api/ HTTP/1.1");
  assert.equal(response.text, "right: true");
  await settlesBelow(pid, 18);
  // A killed predecessor's socket file is replaced, and the secret is where nobody can look it up.
  for (const file of ["cmdline", "environ"]) {
    assert.ok(!(await Deno.readTextFile(`/proc/${pid}/${file}`)).includes(SECRET), file);
  }
  cell.kill("SIGKILL");
  await cell.status;
  const second = await startCell(dir, runtime, bootstrapWith());
  assert.deepEqual(second.announcement, { ready: true });
  const health = await rawRequest(second.sockets.agent, "GET /health HTTP/1.1");
  assert.equal(health.status, 200);
  // bwrap passes no signals on; ending the program ends the cell.
  Deno.kill(await second.pid(), "SIGTERM");
  assert.equal((await second.status).code, 0);
  await gate.stop();
  await upstream.shutdown();
  await Deno.remove(dir, { recursive: true });
});

Deno.test("TLS ends in the proxy process, with its static permissions and little memory", async () => {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  const runtime = await buildRuntime(dir);
  const { ca, cert, key } = await makeCertificates(dir, "DNS:api.test");
  const upstream = Deno.serve(
    { hostname: "127.0.0.1", port: 0, cert, key, onListen() {} },
    (request) => new Response(`right: ${request.headers.get("x-api-key") === SECRET}`),
  );
  await Deno.mkdir(`${dir}/egress`);
  const gate = await startGate({
    path: `${dir}/egress/egress.sock`,
    route: () => upstream.addr.port,
  });
  const authority = await makeAuthority();
  await Deno.writeTextFile(`${dir}/authority.pem`, authority.certificate);
  const placeholder = "bureau-placeholder-api-0123456789abcdef0123456789abcdef";
  const cell = await startCell(
    dir,
    runtime,
    bootstrapWith({
      egress_authority: authority,
      placeholders: [{ placeholder, value: SECRET, hosts: ["api.test:443"], ca }],
    }),
  );
  const bridge = bridgeTo(`${dir}/agent/forward.sock`);
  const { stdout, stderr } = await curl(
    ...["--proxy", `http://127.0.0.1:${bridge.port}`, "--cacert", `${dir}/authority.pem`],
    ...["-H", `X-Api-Key: ${placeholder}`, "https://api.test/"],
  );
  assert.equal(stdout, "right: true", stderr);
  await settlesBelow(await cell.pid(), 20);
  bridge.stop();
  cell.kill("SIGKILL");
  await cell.status;
  await gate.stop();
  await upstream.shutdown();
  await Deno.remove(dir, { recursive: true });
});

Deno.test("the proxy process says which field of its document is wrong, and never its value", async () => {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  const runtime = await buildRuntime(dir);
  const start = async (document: string) => {
    const cell = await startCell(dir, runtime, document);
    assert.equal((await cell.status).code, 1);
    return cell.announcement["error"] as { code: string; message: string };
  };
  const with_ = (services: unknown) => JSON.stringify({ ...bootstrapWith(), services });
  const header = await start(
    with_({ api: { upstream: "https://a", inject_headers: { "x-key": `${SECRET}\r\nx: y` } } }),
  );
  assert.equal(header.code, "bootstrap-malformed");
  assert.match(header.message, /services\.api\.inject_headers\.x-key/);
  assert.ok(!header.message.includes(SECRET));
  const plain = await start(
    with_({ api: { upstream: `http://a.example/`, inject_headers: { "x-key": SECRET } } }),
  );
  assert.equal(plain.code, "bad-upstream");
  assert.match(plain.message, /plain http is only for loopback/);
  assert.equal((await start("")).code, "bootstrap-empty");
  await Deno.remove(dir, { recursive: true });
});
