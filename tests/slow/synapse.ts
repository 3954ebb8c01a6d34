// SPDX-License-Identifier: Apache-2.0

/** A real Synapse from PyPI for a test: pinned, in a cached virtual environment, on SQLite and loopback. */
import assert from "node:assert/strict";
import { eventually, freePort, run } from "../e2e/harness.ts";

/** The release that the tests run against. */
const VERSION = "1.163.2";
const SECRET = "registration-shared-secret-of-a-test";

export interface Synapse {
  readonly url: string;
  readonly serverName: string;
  /** A registration token that may be used without end. */
  readonly token: string;
}

/** Where the virtual environment is kept between runs; per user, so that nobody runs another's code. */
function cacheDir(): string {
  const base = Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME") ?? "/tmp"}/.cache`;
  return `${base}/bureau-tests/synapse-${VERSION}`;
}

/** @returns the environment's Python, or why there is none */
async function install(): Promise<{ python: string } | { reason: string }> {
  const dir = cacheDir();
  const python = `${dir}/bin/python`;
  const probe = ["-c", `import synapse; assert synapse.__version__ == "${VERSION}"`];
  if ((await run(python, probe).catch(() => ({ code: 1 }))).code === 0) return { python };
  const made = await run("python3", ["-m", "venv", "--clear", dir]).catch((thrown) => ({
    code: 1,
    stderr: String(thrown),
  }));
  if (made.code !== 0) {
    return { reason: `no Python with venv here: ${made.stderr.trim().slice(-200)}` };
  }
  const installed = await run(python, [
    "-m",
    "pip",
    "install",
    "--quiet",
    "--disable-pip-version-check",
    `matrix-synapse==${VERSION}`,
  ]);
  if (installed.code !== 0) {
    return {
      reason: `matrix-synapse ${VERSION} cannot be had: ${installed.stderr.trim().slice(-200)}`,
    };
  }
  return { python };
}

/** Runs `use` with a Synapse, or prints why it can't and returns false. */
export async function withSynapse(use: (synapse: Synapse) => Promise<void>): Promise<boolean> {
  const found = await install();
  if ("reason" in found) {
    console.log(`skipped: ${found.reason}`);
    return false;
  }
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-syn-" });
  const port = freePort();
  const url = `http://127.0.0.1:${port}`;
  await Deno.writeTextFile(`${dir}/homeserver.yaml`, JSON.stringify(configuration(dir, port)));
  await Deno.writeTextFile(
    `${dir}/log.yaml`,
    JSON.stringify({
      version: 1,
      handlers: { file: { class: "logging.FileHandler", filename: `${dir}/log` } },
      root: { level: "WARNING", handlers: ["file"] },
    }),
  );
  const module = ["-m", "synapse.app.homeserver", "-c", `${dir}/homeserver.yaml`];
  const keys = await run(found.python, [...module, "--generate-keys"], dir);
  assert.equal(keys.code, 0, keys.stderr);
  const child = new Deno.Command(found.python, {
    args: module,
    cwd: dir,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    await eventually("Synapse answers", async () => {
      const response = await fetch(`${url}/_matrix/client/versions`);
      await response.body?.cancel();
      return response.ok;
    }, 60_000);
    await use({ url, serverName: "example.test", token: await makeToken(url) });
    return true;
  } finally {
    child.kill("SIGTERM");
    await child.status;
    await Deno.remove(dir, { recursive: true });
  }
}

/** JSON is YAML. */
function configuration(dir: string, port: number): unknown {
  const fast = { per_second: 10_000, burst_count: 10_000 };
  return {
    server_name: "example.test",
    listeners: [{
      port,
      bind_addresses: ["127.0.0.1"],
      type: "http",
      tls: false,
      resources: [{ names: ["client"], compress: false }],
    }],
    database: { name: "sqlite3", args: { database: `${dir}/homeserver.db` } },
    log_config: `${dir}/log.yaml`,
    media_store_path: `${dir}/media`,
    signing_key_path: `${dir}/signing.key`,
    trusted_key_servers: [],
    suppress_key_server_warning: true,
    report_stats: false,
    enable_registration: true,
    registration_requires_token: true,
    registration_shared_secret: SECRET,
    macaroon_secret_key: "macaroon-of-a-test",
    form_secret: "form-of-a-test",
    rc_message: fast,
    rc_registration: fast,
    rc_login: { address: fast, account: fast },
    rc_joins: { local: fast },
    rc_invites: { per_room: fast, per_user: fast },
  };
}

async function makeToken(url: string): Promise<string> {
  const call = async (method: string, path: string, body?: unknown, token?: string) => {
    const response = await fetch(url + path, {
      method,
      headers: {
        "content-type": "application/json",
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    assert.ok(response.ok, `${path}: ${text}`);
    return JSON.parse(text) as Record<string, string>;
  };
  const where = "/_synapse/admin/v1/register";
  const { nonce } = await call("GET", where);
  const key = await crypto.subtle.importKey(
    "raw",
    new TextEncoder().encode(SECRET),
    { name: "HMAC", hash: "SHA-1" },
    false,
    ["sign"],
  );
  const text = [nonce, "root", "password-of-a-test", "admin"].join("\0");
  const signed = await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(text));
  const { access_token } = await call("POST", where, {
    nonce,
    username: "root",
    password: "password-of-a-test",
    admin: true,
    mac: new Uint8Array(signed).toHex(),
  });
  const made = await call(
    "POST",
    "/_synapse/admin/v1/registration_tokens/new",
    { token: "token-of-a-test" },
    access_token,
  );
  return made["token"]!;
}
