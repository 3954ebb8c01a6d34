// SPDX-License-Identifier: Apache-2.0

/**
 * The daemon process: the only one with a network. It holds the machine's Matrix session and no
 * credential of any principal; it starts no process; it writes below `<run>/daemon`, `<run>/p` and
 * `<state>/daemon` only.
 */
import { DaemonBootstrap } from "../daemon/api.ts";
import { Daemon } from "../daemon/mod.ts";
import { listenUnix } from "../lib/http/mod.ts";
import { createLogger } from "../lib/log.ts";
import { announceReady, failStart, readBootstrap } from "../lib/provision/mod.ts";

const log = createLogger("daemon");
const stop = new AbortController();
let daemon: Daemon;
let server: Deno.HttpServer;
try {
  const bootstrap = await readBootstrap((json) => DaemonBootstrap.parse(json));
  daemon = new Daemon({ bootstrap, log });
  server = await listenUnix(`${bootstrap.run_dir}/daemon/daemon.sock`, daemon.handler);
} catch (thrown) {
  failStart(thrown);
}
Deno.addSignalListener("SIGTERM", () => stop.abort());
Deno.addSignalListener("SIGINT", () => stop.abort());
announceReady();
const outcome = await daemon.run(stop.signal);
// Open long polls and observations end with the process; a polite stop waits for none of them.
server.unref();
if (outcome !== null) failStart(outcome);
Deno.exit(0);
