// SPDX-License-Identifier: Apache-2.0

/**
 * In the agent's own sandbox: one loopback port, and the two sockets that the sandbox has anyway. Holds
 * nothing, decides nothing, and needs no document: every path is constant.
 */
import { Bridge } from "../bridge/bridge.ts";
import { announceReady, failStart } from "../lib/provision/mod.ts";

try {
  new Bridge({
    port: 8642,
    proxySocket: "/run/bureau/agent/proxy.sock",
    forwardSocket: "/run/bureau/agent/forward.sock",
  });
} catch (thrown) {
  failStart(thrown);
}
announceReady();
