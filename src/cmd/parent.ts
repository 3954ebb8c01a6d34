// SPDX-License-Identifier: Apache-2.0

/**
 * The parent of an operator's workers: starts the launcher of each one's sandbox, gives each its spec and its
 * assignments, and ends it. Has no network and no file but those of the directory where they meet.
 */
import * as z from "zod/mini";
import { ParentBootstrap } from "../agent/parent/api.ts";
import { describe, runAssignments } from "../agent/parent/command.ts";
import { readBootstrap } from "../lib/provision/mod.ts";

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  Deno.addSignalListener(signal, () => stop.abort());
}
let status = 1;
try {
  const bootstrap = await readBootstrap((json) => z.parse(ParentBootstrap, json));
  status = await runAssignments(bootstrap, import.meta.dirname!, {
    out: (line) => console.log(line),
    err: (line) => console.error(line),
  }, stop.signal);
} catch (thrown) {
  for (const line of describe(thrown)) console.error(line);
}
Deno.exit(status);
