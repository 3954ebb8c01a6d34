// SPDX-License-Identifier: Apache-2.0

/** WebSockets from inside a sandbox, with stock clients, by the reverse service and by HTTPS_PROXY. */
import assert from "node:assert/strict";
import { skip } from "../../src/lib/testing/skip.ts";
import { packages } from "./packages.ts";
import { type Agent, withRig } from "./rig.ts";
import { startEcho } from "./servers/echo.ts";
import { authorityOf } from "./servers/tls.ts";

for (const way of ["reverse", "forward"] as const) {
  Deno.test(`WebSocket: text, binary, order, closing, and no key in a message (${way})`, async (t) => {
    const found = await packages("clients");
    if ("reason" in found) return await skip(t, found.reason);
    await using clients = found;
    await withRig(async (rig) => {
      await rig.allowBind(clients.dir);
      const key = rig.secret("key");
      await using echo = startEcho(key, rig.authority);
      const direct = authorityOf(echo);
      const shared = {
        credentials: { key: { value: key, servers: [echo] } },
        servers: [echo],
        binds: { [clients.dir]: "/opt/clients" },
        script: "exec node /opt/clients/programs/websocket.mjs",
      };
      const ways: Record<typeof way, Agent> = {
        reverse: {
          ...shared,
          services: {
            echo: { upstream: `https://${direct}`, inject_headers: { "X-Api-Key": "key" } },
          },
          environment: { URL: "ws://127.0.0.1:8642/http/echo/socket" },
        },
        forward: {
          ...shared,
          placeholders: { KEY: "key" },
          environment: { URL: `wss://${direct}/socket`, FORWARD: "1" },
        },
      };
      const { code, said } = await rig.run(ways[way]);
      assert.equal(code, 0, said);
      const { checked, failure } = JSON.parse(said.trim().split("\n").at(-1)!);
      assert.equal(failure, null);
      assert.equal(checked.length, way === "reverse" ? 10 : 6, checked.join(", "));
      assert.equal(echo.strangers(), 0);
    });
  });
}
