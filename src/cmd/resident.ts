// SPDX-License-Identifier: Apache-2.0

/**
 * Workers for parents on other machines. Listens at one address; starts the launcher of each worker's sandbox; has no
 * file but those of the directory where it meets them.
 */
import * as z from "zod/mini";
import { describe } from "../agent/parent/command.ts";
import { ResidentBootstrap } from "../agent/resident/api.ts";
import { announce, sandboxesOf, startResident } from "../agent/resident/resident.ts";
import { createLogger } from "../lib/log.ts";
import { readBootstrap } from "../lib/provision/mod.ts";

const stop = Promise.withResolvers<void>();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  Deno.addSignalListener(signal, () => stop.resolve());
}
let status = 1;
try {
  const bootstrap = await readBootstrap((json) => z.parse(ResidentBootstrap, json));
  const log = createLogger("resident");
  const launcher = sandboxesOf(bootstrap, import.meta.dirname!);
  const { server, announced } = await startResident(bootstrap, launcher, log);
  for (const line of announce(announced, bootstrap.json)) console.log(line);
  await stop.promise;
  await server.stop();
  status = 0;
} catch (thrown) {
  for (const line of describe(thrown)) console.error(line);
}
Deno.exit(status);
