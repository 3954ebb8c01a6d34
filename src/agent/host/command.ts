// SPDX-License-Identifier: Apache-2.0

/** The process `parent` as the host of an operator's workers, and as who asks the host for one. */
import { systemClock } from "../../lib/clock.ts";
import { createLogger } from "../../lib/log.ts";
import type { Output } from "../parent/command.ts";
import { SandboxLauncher } from "../parent/sandbox.ts";
import type { HostBootstrap, SpawnBootstrap } from "./api.ts";
import { findHost, type HostClient, isAbsent, startHost } from "./client.ts";
import { serveHost } from "./serve.ts";

/** A host that has just ended is followed by another. */
const ATTEMPTS = 5;
const PAUSE_MS = 100;

export async function runHost(
  bootstrap: HostBootstrap,
  runtimeDir: string,
  signal: AbortSignal,
): Promise<number> {
  await serveHost({
    bootstrap,
    isServed: async () => {
      const client = await findHost(bootstrap);
      client?.close();
      return client !== null;
    },
    launcher: (document, place) =>
      new SandboxLauncher({
        document,
        runtimeDir,
        stateDir: bootstrap.state_dir,
        runDir: place.socketDir,
      }),
    log: createLogger("host", {}, (line) => note(`${bootstrap.host_dir}/host.log`, line)),
    signal,
  });
  return 0;
}

/** Its standard error was that of whoever started it, who has gone. */
function note(file: string, line: string): void {
  try {
    Deno.writeTextFileSync(file, `${line}\n`, { append: true, mode: 0o600 });
  } catch {
    // It ends with its directory.
  }
}

/** @returns the exit status */
export async function runSpawn(
  { host_dir, state_dir, request, json }: SpawnBootstrap,
  runtimeDir: string,
  output: Output,
): Promise<number> {
  const bootstrap: HostBootstrap = { version: 1, mode: "host", host_dir, state_dir };
  for (let attempt = 1;; attempt++) {
    let client: HostClient | null = null;
    try {
      client = await findHost(bootstrap) ?? await startHost(bootstrap, runtimeDir);
      const spawned = await client.call("spawn", { body: request });
      output.out(json ? JSON.stringify(spawned) : spawned.name);
      return 0;
    } catch (thrown) {
      if (!isAbsent(thrown) || attempt === ATTEMPTS) throw thrown;
      await systemClock.sleep(PAUSE_MS);
    } finally {
      client?.close();
    }
  }
}
