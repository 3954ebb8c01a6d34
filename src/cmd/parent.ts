// SPDX-License-Identifier: Apache-2.0

/**
 * The parent of an operator's workers: starts the launcher of each one's sandbox, gives each its spec and its
 * assignments, and ends it. Has no network and no file but those of the directory where they meet. As the host it stays,
 * and holds workers that others give their assignments (src/agent/host).
 */
import * as z from "zod/mini";
import { HostBootstrap, SpawnBootstrap } from "../agent/host/api.ts";
import { runHost, runSpawn } from "../agent/host/command.ts";
import { ParentBootstrap } from "../agent/parent/api.ts";
import { describe, runAssignments } from "../agent/parent/command.ts";
import { readBootstrap } from "../lib/provision/mod.ts";

const Bootstrap = z.discriminatedUnion("mode", [ParentBootstrap, SpawnBootstrap, HostBootstrap]);
const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  Deno.addSignalListener(signal, () => stop.abort());
}
let status = 1;
try {
  const bootstrap = await readBootstrap((json) => z.parse(Bootstrap, json));
  const runtimeDir = import.meta.dirname!;
  const output = {
    out: (line: string) => console.log(line),
    err: (line: string) => console.error(line),
  };
  switch (bootstrap.mode) {
    case "worker":
      status = await runAssignments(bootstrap, runtimeDir, output, stop.signal);
      break;
    case "spawn":
      status = await runSpawn(bootstrap, runtimeDir, output);
      break;
    case "host":
      status = await runHost(bootstrap, runtimeDir, stop.signal);
  }
} catch (thrown) {
  for (const line of describe(thrown)) console.error(line);
}
Deno.exit(status);
