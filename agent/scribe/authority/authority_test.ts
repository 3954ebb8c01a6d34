// SPDX-License-Identifier: Apache-2.0

/** The real process under its real permission set, asked and verified by the real openssl and curl. */
import assert from "node:assert/strict";
import { denoArguments, parseGrants } from "../../../src/lib/process/mod.ts";

const root = new URL("../../..", import.meta.url).pathname.replace(/\/$/, "");
const decoder = new TextDecoder();
const API_KEY = "correct horse";

async function sha256(text: string): Promise<string> {
  const bytes = new TextEncoder().encode(text);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

async function run(program: string, args: string[], cwd: string): Promise<[number, string]> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args,
    cwd,
    stdin: "null",
  }).output();
  return [code, decoder.decode(stdout) + decoder.decode(stderr)];
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}

async function start(dir: string, port: number) {
  const grants = parseGrants(await Deno.readTextFile(`${root}/tasks/grants.txt`), {
    STATE: dir,
    RUN: dir,
    RUNTIME: dir,
    DENO: Deno.execPath(),
    AUTHORITY: `127.0.0.1:${port}`,
  });
  const args = denoArguments("authority", root, grants).filter((argument) =>
    argument !== "--cached-only"
  );
  const child = new Deno.Command(Deno.execPath(), {
    args: [...args.slice(0, -1), `${root}/src/cmd/authority.ts`],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify({
    version: 1,
    listen: { hostname: "127.0.0.1", port },
    state_dir: `${dir}/authority`,
    host: "localhost",
    api_key_sha256: await sha256(API_KEY),
  })));
  await writer.close();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  return { child, line: JSON.parse(decoder.decode(value)) as Record<string, unknown> };
}

async function withAuthority(
  use: (dir: string, port: number) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-tsa-" });
  await Deno.mkdir(`${dir}/authority`);
  const port = freePort();
  const { child, line } = await start(dir, port);
  try {
    assert.equal(line["ready"], true, JSON.stringify(line));
    await use(dir, port);
  } finally {
    child.kill("SIGTERM");
    await child.status;
    await child.stdout.cancel();
    await Deno.remove(dir, { recursive: true });
  }
}

const curl = (dir: string, port: number, ...args: string[]) =>
  run("curl", [
    "--silent",
    "--cacert",
    "authority/ca.pem",
    "--write-out",
    "%{http_code}",
    ...args,
    `https://localhost:${port}/tsa`,
  ], dir);

const QUERY = ["--header", "content-type: application/timestamp-query"];

Deno.test("the authority stamps what openssl verifies when the key is right", async () => {
  await withAuthority(async (dir, port) => {
    await Deno.writeTextFile(`${dir}/report.json`, '{"files":3}');
    const [made, why] = await run(
      "openssl",
      ["ts", "-query", "-data", "report.json", "-sha256", "-cert", "-out", "q.tsq"],
      dir,
    );
    assert.equal(made, 0, why);
    const [, status] = await curl(
      dir,
      port,
      ...QUERY,
      "--header",
      `x-api-key: ${API_KEY}`,
      "--data-binary",
      "@q.tsq",
      "--output",
      "token.tsr",
    );
    assert.equal(status, "200");
    const verify = ["ts", "-verify", "-in", "token.tsr", "-CAfile", "authority/ca.pem"];
    const [byData, data] = await run("openssl", [...verify, "-data", "report.json"], dir);
    assert.equal(byData, 0, data);
    const [byQuery, query] = await run("openssl", [...verify, "-queryfile", "q.tsq"], dir);
    assert.equal(byQuery, 0, query);
    // Control: other data must not verify.
    await Deno.writeTextFile(`${dir}/report.json`, '{"files":4}');
    const [tampered] = await run("openssl", [...verify, "-data", "report.json"], dir);
    assert.notEqual(tampered, 0);
  });
});

Deno.test("the authority answers 401 when the key is missing or wrong", async () => {
  await withAuthority(async (dir, port) => {
    await Deno.writeTextFile(`${dir}/q.tsq`, "x");
    const [, none] = await curl(dir, port, ...QUERY, "--data-binary", "@q.tsq");
    assert.match(none, /401$/);
    const wrong = ["--header", "x-api-key: nope"];
    const [, bad] = await curl(dir, port, ...QUERY, ...wrong, "--data-binary", "@q.tsq");
    assert.match(bad, /unauthorized.*401$/);
  });
});

Deno.test("the authority rejects what is no query, as RFC 3161 says", async () => {
  await withAuthority(async (dir, port) => {
    await Deno.writeTextFile(`${dir}/q.tsq`, "not DER");
    const key = ["--header", `x-api-key: ${API_KEY}`, "--output", "r.tsr"];
    const [, status] = await curl(dir, port, ...QUERY, ...key, "--data-binary", "@q.tsq");
    assert.equal(status, "200");
    const [, text] = await run("openssl", ["ts", "-reply", "-in", "r.tsr", "-text"], dir);
    assert.match(text, /Status: Rejected/);
    await Deno.writeTextFile(`${dir}/q.tsq`, "x".repeat(5000));
    const [, large] = await curl(dir, port, ...QUERY, ...key, "--data-binary", "@q.tsq");
    assert.equal(large, "413");
  });
});

Deno.test("the authority keeps its CA over restarts and names a taken port", async () => {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-tsa-" });
  await Deno.mkdir(`${dir}/authority`);
  const port = freePort();
  try {
    const first = await start(dir, port);
    const ca = await Deno.readTextFile(`${dir}/authority/ca.pem`);
    const second = await start(dir, port);
    assert.equal((second.line["error"] as { code: string }).code, "port-in-use");
    await second.child.status;
    await second.child.stdout.cancel();
    first.child.kill("SIGKILL");
    await first.child.status;
    await first.child.stdout.cancel();
    const third = await start(dir, port);
    assert.equal(await Deno.readTextFile(`${dir}/authority/ca.pem`), ca);
    third.child.kill("SIGTERM");
    await third.child.status;
    await third.child.stdout.cancel();
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
