// SPDX-License-Identifier: Apache-2.0

/** One principal's proxy: in its cell, without a network, with four Unix sockets and one principal's secrets. */
import { createLogger } from "../lib/log.ts";
import { announceReady, failStart, readBootstrap, tellParent } from "../lib/provision/mod.ts";
import { parseBootstrap, startProxy } from "../proxy/mod.ts";

const log = createLogger("proxy");

try {
  const bootstrap = await readBootstrap(parseBootstrap);
  const proxy = await startProxy(bootstrap, {
    sockets: {
      agent: "/run/bureau/agent/proxy.sock",
      forward: "/run/bureau/agent/forward.sock",
      admin: "/run/bureau/admin/admin.sock",
      egress: "/run/bureau/egress/egress.sock",
      ssh: "/run/bureau/agent/ssh-agent.sock",
    },
    log,
    // The launcher's end of this pipe, which nobody else reads.
    onRotated: (credential) => tellParent({ credential }),
  });
  Deno.addSignalListener("SIGTERM", () => proxy.stop().finally(() => Deno.exit(0)));
  announceReady();
  log.info("serving", { principal: bootstrap.principal });
} catch (error) {
  failStart(error);
}
