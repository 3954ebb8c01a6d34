// SPDX-License-Identifier: Apache-2.0

/**
 * The daemon process: the only one with a network. It holds the machine's Matrix session and no
 * credential of any principal; it starts no process; it writes below `<run>/daemon`, `<run>/p` and
 * `<state>/daemon` only.
 */
import { DaemonBootstrap } from "../daemon/api.ts";
import { GateThread, type Thread } from "../daemon/egress/gate_thread.ts";
import { Daemon } from "../daemon/mod.ts";
import { listenUnix } from "../lib/http/mod.ts";
import { createLogger } from "../lib/log.ts";
import { guardSpans } from "../lib/telemetry/mod.ts";
import { announceReady, failStart, readBootstrap } from "../lib/provision/mod.ts";

guardSpans();
const log = createLogger("daemon");
const stop = new AbortController();
let daemon: Daemon;
let server: Deno.HttpServer;
try {
  const bootstrap = await readBootstrap((json) => DaemonBootstrap.parse(json));
  daemon = new Daemon({ bootstrap, log, gates: gatesIn(`${bootstrap.run_dir}/p`) });
  server = await listenUnix(`${bootstrap.run_dir}/daemon/daemon.sock`, daemon.handler);
} catch (thrown) {
  failStart(thrown);
}

/** Their thread has the network and the principals' sockets, and nothing else of this process. */
function gatesIn(sockets: string): GateThread {
  // Beside this file, as source and as bundle.
  const module = import.meta.url.replace(/daemon\.([jt]s)$/, "gate_worker.$1");
  const permissions: Deno.PermissionOptionsObject = {
    net: "inherit",
    read: [sockets],
    write: [sockets],
    env: false,
    ffi: false,
    import: false,
    run: false,
    sys: false,
  };
  return new GateThread({
    log,
    start: () => new Worker(module, { type: "module", deno: { permissions } }) as Thread,
  });
}

Deno.addSignalListener("SIGTERM", () => stop.abort());
Deno.addSignalListener("SIGINT", () => stop.abort());
announceReady();
const outcome = await daemon.run(stop.signal);
// Open long polls and observations end with the process; a polite stop waits for none of them.
server.unref();
if (outcome !== null) failStart(outcome);
Deno.exit(0);
