// SPDX-License-Identifier: Apache-2.0

/** The daemon's egress gate for the proxy benchmark, in a process of its own: `<socket> <host:port>`. */
import { EgressGate } from "../../src/daemon/egress/gate.ts";
import { createLogger } from "../../src/lib/log.ts";

const [path, target] = Deno.args;
const gate = new EgressGate({
  principal: "bench",
  log: createLogger("gate", {}, () => {}),
  resolve: () => Promise.resolve(["127.0.0.1"]),
});
gate.setPolicy([target!]);
await gate.listen(path!);
console.log("ready");
