// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { MetricText } from "../../lib/metrics/mod.ts";
import { MetricsGatherer } from "./gather.ts";
import { askSocket, type Source } from "./sources.ts";

const PROXY = { process: "proxy", prefix: "bureau_proxy_" };
const own = () => ({
  measured: { bureau_daemon_observers: 2 },
  principals: new MetricText().add({ bureau_egress_refused_total: 7 }, {
    process: "daemon",
    principal: "agent/a",
  }),
});

async function withServer(
  answer: (request: Request) => Response | Promise<Response>,
  use: (socket: string) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  const path = `${dir}/admin.sock`;
  const server = Deno.serve({ path, onListen() {} }, answer);
  try {
    await use(path);
  } finally {
    await server.shutdown();
    await Deno.remove(dir, { recursive: true });
  }
}

const at = (socket: string, of: Omit<Source, "ask">): Source => ({
  ...of,
  ask: (signal) => askSocket(socket, signal),
});

Deno.test("one scrape has every process under its name; who hangs, fails or lies costs nobody else", async () => {
  const hung = Promise.withResolvers<Response>();
  await withServer(
    (request) => {
      assert.equal(new URL(request.url).pathname, "/metrics");
      return new Response(
        'bureau_proxy_requests_total{via="http",service="a",status="2xx"} 3\nbureau_up 99\n',
      );
    },
    (good) =>
      withServer(
        () => hung.promise,
        (silent) =>
          withServer(() => new Response("x".repeat(3_000_000)), async (endless) => {
            const gatherer = new MetricsGatherer({
              own,
              deadlineMs: 500,
              sources: () => [
                at(good, { ...PROXY, principal: "agent/a" }),
                at(silent, { ...PROXY, principal: "agent/hung" }),
                at(endless, { ...PROXY, principal: "agent/endless" }),
                at(`${good}.not`, { ...PROXY, principal: "agent/gone" }),
                at(`${good}.not`, {
                  ...{ process: "relay", prefix: "bureau_relay_", comesAndGoes: true },
                  principal: "agent/a",
                }),
              ],
            });
            const all = new Map(
              (await gatherer.gather()).json().map((one) => [one.name, one.value]),
            );
            const up = (principal: string) =>
              all.get(`bureau_up{process="proxy",principal="agent/${principal}"}`);
            assert.deepEqual(["a", "hung", "endless", "gone"].map(up), [1, 0, 0, 0]);
            assert.equal(all.get('bureau_up{process="daemon"}'), 1);
            assert.equal(all.get('bureau_daemon_observers{process="daemon"}'), 2);
            assert.equal(
              all.get('bureau_egress_refused_total{process="daemon",principal="agent/a"}'),
              7,
            );
            const who = 'process="proxy",principal="agent/a"';
            const what = 'via="http",service="a",status="2xx"';
            assert.equal(all.get(`bureau_proxy_requests_total{${who},${what}}`), 3);
            assert.ok(
              ![...all.keys()].some((name) => name.includes("relay")),
            );
            assert.ok(![...all.values()].includes(99));
            hung.resolve(new Response());
          }),
      ),
  );
});

Deno.test("however many scrape, a process is asked once in a second", async () => {
  let asked = 0;
  let now = 0;
  const gatherer = new MetricsGatherer({
    own,
    tick: () => now,
    sources: () => [{ ...PROXY, ask: () => Promise.resolve(`${asked++ || ""}`) }],
  });
  await Promise.all(Array.from({ length: 50 }, () => gatherer.gather()));
  now = 999;
  await gatherer.gather();
  assert.equal(asked, 1);
  now = 1_000;
  await gatherer.gather();
  assert.equal(asked, 2);
});
