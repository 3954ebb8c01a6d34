// SPDX-License-Identifier: Apache-2.0

/**
 * The way out of one `bureau sandbox run`: an egress gate without a daemon, in a cell of its own that sees the
 * machine's network and none of its files. It holds no secret: TLS is between the proxy and the upstream.
 */
import * as z from "zod/mini";
import { EgressGate } from "../daemon/egress/gate.ts";
import { createLogger } from "../lib/log.ts";
import { announceReady, failStart, readBootstrap } from "../lib/provision/mod.ts";
import { GateBootstrap } from "../launcher/api.ts";

const log = createLogger("gate");

try {
  const { principal, allow, deny } = await readBootstrap((json) => z.parse(GateBootstrap, json));
  const gate = new EgressGate({ principal, log });
  gate.setPolicy(allow, deny);
  await gate.listen("/run/bureau/egress/egress.sock");
  announceReady();
} catch (thrown) {
  failStart(thrown);
}
