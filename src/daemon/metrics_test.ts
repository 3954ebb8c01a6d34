// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { emptyUsage } from "./egress/usage.ts";
import { gatherMetrics } from "./metrics.ts";

async function withProxy(text: string, use: (socket: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  const path = `${dir}/admin.sock`;
  const server = Deno.serve({ path, onListen() {} }, () => new Response(text));
  try {
    await use(path);
  } finally {
    await server.shutdown();
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("gatherMetrics() joins proxies under their names, and lets none speak for another", async () => {
  const hostile = [
    "# TYPE bureau_proxy_requests_total counter",
    'bureau_proxy_requests_total{via="http",service="a",status="2xx"} 3',
    'bureau_proxy_requests_total{principal="agent/other",service="a"} 99',
    'bureau_proxy_requests_total{service="x",principal="agent/other"} 99',
    'bureau_egress_refused_total{principal="agent/other"} 99',
    'bureau_proxy_x{a="b"} 1 # "',
    "up 1",
  ].join("\n");
  await withProxy(hostile, async (admin) => {
    const usage = { ...emptyUsage(), refused: 7 };
    const text = await gatherMetrics([
      { localpart: "agent/a", usage, admin },
      {
        localpart: "agent/b",
        usage: emptyUsage(),
        admin: null,
        health: { state: "unhealthy", since: 1, message: "no" },
      },
      { localpart: "agent/gone", usage: emptyUsage(), admin: `${admin}.not` },
    ], 2);
    assert.ok(text.includes(
      "# TYPE bureau_proxy_requests_total counter\n" +
        'bureau_proxy_requests_total{principal="agent/a",via="http",service="a",status="2xx"} 3\n',
    ));
    assert.ok(text.includes('bureau_egress_refused_total{principal="agent/a"} 7\n'));
    assert.ok(text.includes("bureau_egress_restarts_total 2\n"));
    assert.ok(text.includes(`bureau_agent_healthy{principal="agent/b"} 0\n`));
    assert.ok(!text.includes(`bureau_agent_healthy{principal="agent/a"}`));
    assert.ok(text.includes("bureau_proxies_silent 1\n"));
    assert.ok(!text.includes("99") && !text.includes("agent/other") && !text.includes("\nup "));
  });
});

Deno.test("gatherMetrics() reads no more of a proxy than it has to", async () => {
  await withProxy("x".repeat(3_000_000), async (admin) => {
    const text = await gatherMetrics([{ localpart: "agent/a", usage: emptyUsage(), admin }], 0);
    assert.ok(text.includes("bureau_proxies_silent 1\n"));
  });
});
