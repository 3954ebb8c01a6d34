// SPDX-License-Identifier: Apache-2.0

/**
 * The Synapse with Postgres of deploy/compose, without its containers: the same configuration, secrets and database, of which
 * only the places differ.
 */
import assert from "node:assert/strict";
import { eventually, freePort, ROOT, run } from "../e2e/harness.ts";
import { type Postgres, startPostgres } from "./postgres.ts";
import type { Started, Unavailable } from "./provider.ts";
import { pythonWith } from "./python.ts";
import { answers, SYNAPSE_VERSION } from "./synapse.ts";

const DEPLOY = `${ROOT}/deploy/compose`;
const PSYCOPG2_VERSION = "2.9.13";
const NAME = "example.test";
/** Whom coturn of the same setup is reached as. */
export const TURN_HOST = "turn.example.test";

export interface Deployed extends Started {
  /** What setup.sh made. */
  readonly dir: string;
  readonly postgres: Postgres;
  /** Stops Synapse and starts it with what the database holds then. */
  restart(meanwhile: () => Promise<void>): Promise<void>;
}

/** What compose.yaml mounts, where it lies here. */
async function configuration(dir: string, port: number): Promise<string> {
  const text = await Deno.readTextFile(`${DEPLOY}/synapse/homeserver.yaml`);
  const places = new Map([
    ["/run/secrets/", `${dir}/secrets/`],
    ["/data/", `${dir}/data/synapse/`],
    ["/config/", `${DEPLOY}/synapse/`],
    ["/tmp/", `${dir}/`],
  ]);
  return text
    .replaceAll(/(?<=: )(\/run\/secrets|\/data|\/config|\/tmp)\//g, (at) => places.get(at)!)
    .replace("port: 8008", `port: ${port}`)
    .replace('"0.0.0.0"', '"127.0.0.1"');
}

export async function openDeployedSynapse(): Promise<Deployed | Unavailable> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-dep-" });
  const removeDir = () => Deno.remove(dir, { recursive: true });
  const port = freePort();
  const user = `${Deno.uid()}:${Deno.gid()}`;
  const made = await run("sh", [
    ...[`${DEPLOY}/setup.sh`, dir, "synapse", NAME, "--port", String(port), "--user", user],
    ...["--turn", TURN_HOST, "--turn-address", "203.0.113.7"],
  ]);
  assert.equal(made.code, 0, made.stderr);
  // What may be missing, the quickest to find out first.
  const postgres = await startPostgres(await Deno.readTextFile(`${dir}/secrets/postgres-password`));
  if ("reason" in postgres) {
    await removeDir();
    return postgres;
  }
  const synapse = await pythonWith("matrix-synapse", SYNAPSE_VERSION);
  const driver = await pythonWith("psycopg2-binary", PSYCOPG2_VERSION);
  if ("reason" in synapse || "reason" in driver) {
    await postgres[Symbol.asyncDispose]();
    await removeDir();
    return "reason" in synapse ? synapse : driver as Unavailable;
  }
  const modules = await run(driver.python, ["-c", "import site; print(*site.getsitepackages())"]);
  const config = `${dir}/homeserver.yaml`;
  await Deno.writeTextFile(config, await configuration(dir, port));
  const env = {
    ...postgres.env,
    PGPASSFILE: `${dir}/secrets/pgpass`,
    PYTHONPATH: modules.stdout.trim(),
  };
  const url = `http://127.0.0.1:${port}`;
  const start = async () => {
    const child = new Deno.Command(synapse.python, {
      args: ["-m", "synapse.app.homeserver", "--no-secrets-in-config", "-c", config]
        .concat(["-c", `${dir}/site/site.yaml`]),
      cwd: dir,
      env,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const log = await Deno.open(`${dir}/log`, { create: true, append: true });
    child.stderr.pipeTo(log.writable);
    let over = false;
    child.status.then(() => over = true);
    await eventually("Synapse answers", async () => over || await answers(url), 120_000);
    if (over) throw new Error((await Deno.readTextFile(`${dir}/log`)).slice(-2_000));
    return child;
  };
  let child: Deno.ChildProcess | null = null;
  const stop = async () => {
    child?.kill("SIGTERM");
    await child?.status;
    child = null;
  };
  const close = async () => {
    await stop();
    await postgres[Symbol.asyncDispose]();
    await removeDir();
  };
  try {
    child = await start();
    await makeAdministrator(synapse.python, dir, url);
  } catch (thrown) {
    await close();
    throw thrown;
  }
  const token = await Deno.readTextFile(`${dir}/secrets/registration-token`);
  const restart = async (meanwhile: () => Promise<void>) => {
    await stop();
    await meanwhile();
    child = await start();
  };
  return { url, registrationToken: token, close, dir, postgres, restart };
}

/** As README.md of deploy/compose says it: Synapse's own tool, then our script. */
async function makeAdministrator(python: string, dir: string, url: string): Promise<void> {
  const password = `${dir}/secrets/admin-password`;
  await Deno.writeTextFile(password, "password of the administrator\n", { mode: 0o600 });
  const tool = `${python.slice(0, python.lastIndexOf("/"))}/register_new_matrix_user`;
  const admin = await run(tool, [
    ...["--config", `${dir}/homeserver.yaml`, "--user", "admin", "--admin"],
    ...["--password-file", password, url],
  ]);
  assert.equal(admin.code, 0, admin.stdout + admin.stderr);
  const tell = () =>
    run("sh", [
      `${DEPLOY}/registration-token.sh`,
      ...[url, "admin", password, `${dir}/secrets/registration-token`],
    ]);
  for (const answer of [/^accounts can be registered/, /is known already/]) {
    const told = await tell();
    assert.equal(told.code, 0, told.stderr);
    assert.match(told.stdout, answer);
  }
}
