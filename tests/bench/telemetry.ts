// SPDX-License-Identifier: Apache-2.0

/**
 * What spans cost a process that serves and fetches, off and on: `deno run -A tests/bench/telemetry.ts`. The collector is on
 * loopback and takes everything.
 */
const REQUESTS = 5_000;

const child = `
import { guardSpans, traced } from "${import.meta.resolve("../../src/lib/telemetry/mod.ts")}";
guardSpans();
const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => new Response("x"));
const url = "http://127.0.0.1:" + server.addr.port + "/";
const ask = () => traced("reconcile", { principal: "agent/a" }, async () => (await fetch(url)).text());
for (let n = 0; n < 500; n++) await ask();
const began = performance.now();
for (let n = 0; n < ${REQUESTS}; n++) await ask();
const each = (performance.now() - began) / ${REQUESTS};
console.log(JSON.stringify({ ms: each, rss: Deno.memoryUsage().rss / 1e6 }));
await server.shutdown();
`;

const collector = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
  await request.arrayBuffer();
  return new Response(null, { headers: { "content-type": "application/x-protobuf" } });
});
for (let round = 0; round < 3; round++) {
  for (const isOn of [false, true]) {
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "--ext=ts", child],
      env: isOn
        ? {
          ...{ OTEL_DENO: "true", OTEL_DENO_METRICS: "false", OTEL_DENO_CONSOLE: "ignore" },
          OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.addr.port}`,
        }
        : {},
      stderr: "inherit",
    }).output();
    const { ms, rss } = JSON.parse(new TextDecoder().decode(stdout));
    console.log(
      `${isOn ? "on " : "off"}  ${ms.toFixed(3)} ms a request, ${rss.toFixed(0)} MB resident`,
    );
  }
}
await collector.shutdown();
