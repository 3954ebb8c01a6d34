// SPDX-License-Identifier: Apache-2.0

/**
 * The `docker` homeserver: deploy/compose where an engine answers that has Compose; otherwise, for root, Synapse in a
 * container of an engine that is started for it.
 */
import { eventually, freePort, ROOT, run } from "../e2e/harness.ts";
import { Engine, whyNoEngine } from "./docker/engine.ts";
import { IMAGE, importImage } from "./docker/image.ts";
import { forward } from "./forward.ts";
import type { Started, Unavailable } from "./provider.ts";
import { answers, logConfiguration, SECRET, synapseConfiguration } from "./synapse.ts";

const NAME = "example.test";
const PROFILE = "continuwuity";
/** As setup.sh run by root chooses it. */
const USER = 991;

export async function openCompose(): Promise<Started | Unavailable> {
  const info = await docker("info");
  if (info.code === 0) {
    const compose = await docker("compose", "version");
    if (compose.code === 0) return await openDeployed();
  }
  const why = whyNoEngine();
  if (why !== null) return { reason: why };
  return await openContained();
}

const docker = (...args: string[]) =>
  run("docker", args).catch((thrown) => ({ code: 127, stdout: "", stderr: String(thrown) }));

/** `docker compose up` of what people deploy, with secrets, port and project of its own. */
async function openDeployed(): Promise<Started | Unavailable> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-compose-" });
  const project = `bureau-test-${dir.slice(dir.lastIndexOf("-") + 1).toLowerCase()}`;
  const port = freePort();
  const user = `${Deno.uid()}:${Deno.gid()}`;
  const made = await run("sh", [
    ...[`${ROOT}/deploy/compose/setup.sh`, dir, PROFILE, NAME],
    ...["--port", String(port), "--user", user],
  ]);
  if (made.code !== 0) throw new Error(`Cannot make the secrets: ${made.stderr}`);
  const compose = (...args: string[]) =>
    run("docker", ["compose", "--project-name", project, ...args], dir);
  const close = async () => {
    await compose("down", "--volumes", "--timeout", "10");
    await Deno.remove(dir, { recursive: true });
  };
  const up = await compose("up", "--detach", "--wait", "--quiet-pull");
  if (up.code !== 0) {
    await close();
    return { reason: `docker compose up fails: ${up.stderr.trim().slice(-300)}` };
  }
  const url = `http://127.0.0.1:${port}`;
  try {
    await eventually("the homeserver answers", () => answers(url), 90_000);
    const logs = await compose("logs", "--no-color", "--no-log-prefix", PROFILE);
    await makeFirstAccount(url, dir, logs.stdout + logs.stderr);
  } catch (thrown) {
    await close();
    throw thrown;
  }
  const token = await Deno.readTextFile(`${dir}/secrets/registration-token`);
  return { url, registrationToken: token.trim(), close };
}

/** Continuwuity lets nobody in before its administrator. */
async function makeFirstAccount(url: string, dir: string, log: string): Promise<void> {
  await Deno.writeTextFile(`${dir}/password`, "password of the administrator\n", { mode: 0o600 });
  await Deno.writeTextFile(`${dir}/log`, log);
  const script = `exec sh "$0" "$1" admin "$2/password" <"$2/log"`;
  const path = `${ROOT}/deploy/compose/first-account.sh`;
  const made = await run("sh", ["-c", script, path, url, dir]);
  if (made.code !== 0) throw new Error(`Cannot make the first account: ${made.stderr}`);
}

/** The container shares the engine's network, which nobody is in; a Unix socket leads out of it. */
async function openContained(): Promise<Started | Unavailable> {
  const engine = await Engine.start();
  if ("reason" in engine) return engine;
  let way: { url: string; close(): Promise<void> } | null = null;
  const close = async () => {
    await way?.close();
    await engine[Symbol.asyncDispose]();
  };
  try {
    const reason = await importImage(engine);
    if (reason !== null) {
      await close();
      return { reason };
    }
    await runSynapse(engine);
    way = await forward(`${engine.dir}/shared/synapse.sock`);
    const { url } = way;
    await eventually("Synapse answers", async () => {
      if (await answers(url).catch(() => false)) return true;
      const logs = await engine.docker("logs", "--tail", "20", "synapse");
      throw new Error(logs.stdout + logs.stderr);
    }, 90_000);
    return { url, sharedSecret: SECRET, close };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

/** Confined as deploy/compose/compose.yaml says it. */
async function runSynapse(engine: Engine): Promise<void> {
  const shared = `${engine.dir}/shared`;
  const configuration = synapseConfiguration("/data", 0);
  configuration["listeners"] = [{
    path: "/data/synapse.sock",
    mode: 0o666,
    type: "http",
    resources: [{ names: ["client"], compress: false }],
  }];
  await Deno.writeTextFile(`${shared}/homeserver.yaml`, JSON.stringify(configuration));
  await Deno.writeTextFile(`${shared}/log.yaml`, JSON.stringify(logConfiguration("/data/log")));
  await Deno.chown(shared, USER, USER);
  const common = ["--network", "host", "--volume", `${shared}:/data`, "--workdir", "/data"].concat(
    ["--user", `${USER}:${USER}`, "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"],
    ["--security-opt", "no-new-privileges:true", "--memory", "2g", "--pids-limit", "512"],
  );
  const config = ["--config-path", "/data/homeserver.yaml"];
  const keys = await engine.docker("run", "--rm", ...common, IMAGE, ...config, "--generate-keys");
  if (keys.code !== 0) throw new Error(`Cannot make Synapse's keys: ${keys.stderr}`);
  const started = await engine.docker(
    ...["run", "--detach", "--name", "synapse", ...common, IMAGE, ...config],
  );
  if (started.code !== 0) throw new Error(`Cannot start the container: ${started.stderr}`);
}
