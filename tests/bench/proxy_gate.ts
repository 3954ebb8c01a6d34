// SPDX-License-Identifier: Apache-2.0

/** The egress side of the proxy benchmark, in a process of its own: `<socket> <loopback port>`. */
import { startGate } from "../../src/proxy/testing/gate.ts";

const [path, port] = Deno.args;
await startGate({ path: path!, route: () => Number(port) });
console.log("ready");
