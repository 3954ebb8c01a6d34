// SPDX-License-Identifier: Apache-2.0

/** A host from outside: found, or started where there is none. */
import { type Clock, systemClock } from "../../lib/clock.ts";
import { type Client, createClient, HttpApiError } from "../../lib/http/mod.ts";
import { denoArguments, parseGrants } from "../../lib/process/grants.ts";
import { PlacedWorker } from "../place/mod.ts";
import type { ProvisionInput } from "../provision/mod.ts";
import { tailOf } from "../parent/launch.ts";
import { HOST_SOCKET, HostApi, type HostBootstrap } from "./api.ts";
import { HostError } from "./errors.ts";

/** How long a host may take until it serves, on a machine that has much to do. */
const START_MS = 30_000;
const LOOK_AGAIN_MS = 50;
/** How long a run waits for a worker of a pool: the others before it have their own limits. */
const WAITING_MS = 24 * 3600 * 1000;

export type HostClient = Client<typeof HostApi>;

export function hostClient(dir: string): HostClient {
  return createClient(HostApi, { socket: `${dir}/${HOST_SOCKET}`, peer: HostApi.title });
}

/** Nobody serves there, or no longer. */
export function isAbsent(thrown: unknown): boolean {
  return thrown instanceof HttpApiError && ["unreachable", "stopping"].includes(thrown.code);
}

/** @returns null where nobody serves @throws {HostError} `other-state` */
export async function findHost(
  { host_dir, state_dir }: Pick<HostBootstrap, "host_dir" | "state_dir">,
): Promise<HostClient | null> {
  const client = hostClient(host_dir);
  try {
    const { state_dir: theirs } = await client.call("host");
    if (theirs === state_dir) return client;
    throw new HostError(
      "other-state",
      `Cannot use the host of workers in "${host_dir}": it is that of "${theirs}"`,
    );
  } catch (thrown) {
    client.close();
    if (isAbsent(thrown)) return null;
    throw thrown;
  }
}

/**
 * Starts one that outlives us, with its document on its standard input.
 * @param runtimeDir directory of the bundles
 * @throws {HostError} `not-started`
 */
export async function startHost(
  bootstrap: HostBootstrap,
  runtimeDir: string,
  clock: Clock = systemClock,
): Promise<HostClient> {
  const grants = parseGrants(await Deno.readTextFile(`${runtimeDir}/grants.txt`), {
    STATE: bootstrap.state_dir,
    RUN: bootstrap.host_dir,
    RUNTIME: runtimeDir,
    DENO: Deno.execPath(),
    HOSTDIR: bootstrap.host_dir,
    WORKERS: bootstrap.host_dir,
  });
  const child = new Deno.Command("/usr/bin/setpriv", {
    args: ["--no-new-privs", "--", Deno.execPath(), ...denoArguments("parent", runtimeDir, grants)],
    cwd: "/",
    clearEnv: true,
    env: { PATH: "/usr/bin:/bin", HOME: "/nonexistent", DENO_DIR: "/dev/null/none" },
    stdin: "piped",
    stdout: "null",
    stderr: "piped",
    // A session of its own: it stays when the terminal goes.
    detached: true,
  }).spawn();
  child.unref();
  let ended: number | null = null;
  void child.status.then(({ code }) => ended = code);
  const words = tailOf(child.stderr);
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify(bootstrap))).catch(() => {});
  await writer.close().catch(() => {});
  for (const deadline = clock.now() + START_MS; clock.now() < deadline;) {
    const client = await findHost(bootstrap);
    if (client !== null) return client;
    if (ended !== null && ended !== 0) throw notStarted(await words);
    await clock.sleep(LOOK_AGAIN_MS);
  }
  throw notStarted(`it did not serve within ${START_MS / 1000} s`);
}

/**
 * A worker of the host, for one parent at a time.
 * @param name of a worker or a pool; null: a pool's that was made with this very spec, which its placement names
 * @throws {HostError} `none-live` where there is no host; as `PlacedWorker.place`
 */
export async function placeOnHost(
  { host_dir, name }: { readonly host_dir: string; readonly name: string | null },
  spec: ProvisionInput,
): Promise<PlacedWorker> {
  const client = hostClient(host_dir);
  let theirs: ProvisionInput;
  try {
    if (name === null) {
      await client.call("host");
      theirs = spec;
    } else {
      // What it was made with is in the host; the limits are also kept here.
      theirs = await client.call("spec", { params: { name } }) as unknown as ProvisionInput;
    }
  } catch (thrown) {
    client.close();
    if (!isAbsent(thrown)) throw thrown;
    throw new HostError(
      "none-live",
      "Cannot place a run: no worker was spawned",
      "`bureau worker spawn` starts one; it is not run anywhere else",
    );
  }
  const socket = name === null
    ? client.websocket("place")
    : client.websocket("placeOn", { params: { name } });
  const carrier = { [Symbol.dispose]: () => client.close() };
  return await PlacedWorker.place(socket, theirs, { at: host_dir, carrier, answerMs: WAITING_MS });
}

const notStarted = (why: string) =>
  new HostError("not-started", `Cannot start the host of workers: ${why}`);
