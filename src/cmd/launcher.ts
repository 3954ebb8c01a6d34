// SPDX-License-Identifier: Apache-2.0

/**
 * The privileged side of Bureau, without a network: may run bwrap and tmux, holds the machine's age key,
 * listens on one Unix socket.
 */
import * as z from "zod/mini";
import { BureauError } from "../lib/errors.ts";
import { listenUnix } from "../lib/http/mod.ts";
import { createLogger } from "../lib/log.ts";
import { announceReady, failStart, readBootstrap } from "../lib/provision/mod.ts";
import { LauncherBootstrap } from "../launcher/api.ts";
import { Launcher, preflight, proveKey } from "../launcher/mod.ts";

const log = createLogger("launcher");

try {
  const bootstrap = await readBootstrap((json) => z.parse(LauncherBootstrap, json));
  if (Deno.uid() === 0) {
    // A sandbox started by root could leave a setuid-root file in a workspace (architecture rule 13).
    throw new BureauError(
      "root",
      "Cannot run the launcher as root: no cell may run as host uid 0",
      {
        hint: "start it through `deno task up`, which gives it a user of its own",
      },
    );
  }
  if (bootstrap.mode === "preflight") {
    console.log(JSON.stringify(await preflight(bootstrap)));
    Deno.exit(0);
  }
  if (bootstrap.mode === "prove") {
    console.log(JSON.stringify(await proveKey(bootstrap)));
    Deno.exit(0);
  }
  if (bootstrap.mode === "run" || bootstrap.mode === "check") {
    // A launcher that serves has no use for it.
    const { runOnce } = await import("../launcher/run/mod.ts");
    // It runs from where the bundles are, and only it knows where that is.
    const runtime_dir = import.meta.dirname ?? bootstrap.runtime_dir;
    Deno.exit(await runOnce({ ...bootstrap, runtime_dir }));
  }
  const launcher = new Launcher(bootstrap, log);
  await launcher.open();
  const closing = new AbortController();
  const socket = `${bootstrap.run_dir}/launcher/launcher.sock`;
  const server = await listenUnix(socket, launcher.handler(closing.signal));
  Deno.addSignalListener("SIGTERM", async () => {
    closing.abort();
    await launcher.close();
    Deno.exit(0);
  });
  announceReady({ public_key: launcher.machineKey.publicKey });
  await server.finished;
} catch (thrown) {
  failStart(thrown);
}
