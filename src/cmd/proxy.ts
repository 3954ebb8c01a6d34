// SPDX-License-Identifier: Apache-2.0

/** One principal's proxy: in its cell, without a network, with four Unix sockets and one principal's secrets. */
import { createLogger } from "../lib/log.ts";
import { messageOf } from "../lib/errors.ts";
import { readBootstrapLines } from "../lib/provision/lines.ts";
import { announceReady, failStart, tellParent } from "../lib/provision/mod.ts";
import { parseBootstrap, type RunningProxy, startProxy } from "../proxy/mod.ts";

const log = createLogger("proxy");

try {
  const started = Promise.withResolvers<RunningProxy>();
  const bootstrap = await readBootstrapLines(parseBootstrap, async (document) => {
    try {
      if (document instanceof Error) throw document;
      await (await started.promise).renew(document);
      tellParent({ renewed: true });
    } catch (thrown) {
      tellParent({ renewed: false, message: messageOf(thrown) });
    }
  });
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
  started.resolve(proxy);
  log.info("serving", { principal: bootstrap.principal });
} catch (error) {
  failStart(error);
}
