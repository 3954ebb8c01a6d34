// SPDX-License-Identifier: Apache-2.0

/** A real Synapse from PyPI for a test: pinned, in a cached virtual environment, on SQLite and loopback. */
import assert from "node:assert/strict";
import { eventually, freePort, run } from "../e2e/harness.ts";
import type { Started, Unavailable } from "./provider.ts";
import { pythonWith } from "./python.ts";

/** The release that the tests run against. */
export const SYNAPSE_VERSION = "1.163.2";
export const SECRET = "registration-shared-secret-of-a-test";

/** Starts one, or says why it can't. Two homeservers of this kind share nothing but the programs. */
export async function openSynapse(): Promise<Started | Unavailable> {
  const found = await pythonWith("matrix-synapse", SYNAPSE_VERSION);
  if ("reason" in found) return found;
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-syn-" });
  const port = freePort();
  const url = `http://127.0.0.1:${port}`;
  await Deno.writeTextFile(
    `${dir}/homeserver.yaml`,
    JSON.stringify(synapseConfiguration(dir, port)),
  );
  await Deno.writeTextFile(`${dir}/log.yaml`, JSON.stringify(logConfiguration(`${dir}/log`)));
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
  const close = async () => {
    child.kill("SIGTERM");
    await child.status;
    await Deno.remove(dir, { recursive: true });
  };
  try {
    await eventually("Synapse answers", () => answers(url), 60_000);
  } catch (thrown) {
    const log = await Deno.readTextFile(`${dir}/log`).catch(() => "");
    await close();
    throw new Error(`Cannot start Synapse: ${log.slice(-2_000)}`, { cause: thrown });
  }
  return { url, sharedSecret: SECRET, close };
}

/** Whether a homeserver is up. */
export async function answers(url: string): Promise<boolean> {
  const response = await fetch(`${url}/_matrix/client/versions`);
  await response.body?.cancel();
  return response.ok;
}

export function logConfiguration(file: string): unknown {
  return {
    version: 1,
    handlers: { file: { class: "logging.FileHandler", filename: file } },
    root: { level: "WARNING", handlers: ["file"] },
  };
}

/** What Synapse reads as YAML, which JSON is. Limits are off: a test is faster than a person. */
export function synapseConfiguration(dir: string, port: number): Record<string, unknown> {
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
    default_room_version: "11",
    enable_registration: true,
    registration_requires_token: true,
    registration_shared_secret: SECRET,
    macaroon_secret_key: "macaroon-of-a-test",
    form_secret: "form-of-a-test",
    // Synapse publishes nothing by default; Bureau's and its users' rooms may be published.
    room_list_publication_rules: [{ action: "allow" }],
    // A scenario asks for everything several times, and wants what is so now.
    caches: { sync_response_cache_duration: 0 },
    rc_message: fast,
    rc_registration: fast,
    rc_registration_token_validity: fast,
    rc_login: { address: fast, account: fast, failed_attempts: fast },
    rc_joins: { local: fast, remote: fast },
    rc_joins_per_room: fast,
    rc_invites: { per_room: fast, per_user: fast, per_issuer: fast },
    rc_room_creation: fast,
    rc_presence: { per_user: fast },
    rc_media_create: fast,
    rc_user_directory: fast,
    rc_admin_redaction: fast,
  };
}
