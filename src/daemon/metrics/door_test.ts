// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { systemClock } from "../../lib/clock.ts";
import { createLogger } from "../../lib/log.ts";
import { MetricText } from "../../lib/metrics/mod.ts";
import { MetricsDoor } from "./door.ts";

Deno.test("on loopback metrics are told to who has the token, and nothing else is served", async () => {
  const stop = new AbortController();
  const free = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = free.addr as Deno.NetAddr;
  free.close();
  const said: string[] = [];
  const listens = Promise.withResolvers<void>();
  const hear = (line: string) => {
    said.push(line);
    if (line.includes("metrics are served")) listens.resolve();
  };
  const door = new MetricsDoor({
    bootstrap: { metrics: { listen: { hostname: "127.0.0.1", port }, token: "s3cret" } },
    ...{ clock: systemClock, log: createLogger("test", {}, (line) => hear(line)) },
    signal: stop.signal,
  });
  door.open({ gather: () => Promise.resolve(new MetricText().add({ bureau_up: 1 })) });
  await listens.promise;
  const ask = async (path: string, token: string | null, method = "GET") => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      headers: token === null ? {} : { authorization: `Bearer ${token}` },
    });
    return [response.status, await response.text()] as const;
  };
  assert.deepEqual((await ask("/metrics", null))[0], 401);
  assert.deepEqual((await ask("/metrics", "s3cret2"))[0], 401);
  assert.deepEqual((await ask("/v1/status", "s3cret"))[0], 404);
  assert.deepEqual((await ask("/metrics", "s3cret", "POST"))[0], 404);
  const [status, text] = await ask("/metrics", "s3cret");
  assert.equal(status, 200);
  assert.match(text, /^bureau_up 1$/m);
  assert.ok(!said.join().includes("s3cret"));
  stop.abort();
});
