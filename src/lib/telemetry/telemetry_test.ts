// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { telemetryEnvironment } from "../config/telemetry.ts";

/** An OTLP collector on loopback, and what a process sends there. */
async function collect(guard: "guarded" | "open", protocol: string): Promise<string[]> {
  const bodies: string[] = [];
  const collector = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) => {
      const { pathname } = new URL(request.url);
      if (pathname !== "/v1/traces") {
        return new Response(null, { status: 302, headers: { location: "/s3cret-location" } });
      }
      assert.equal(request.headers.get("content-type"), `application/${protocol}`);
      bodies.push(new TextDecoder("latin1").decode(await request.arrayBuffer()));
      return new Response(protocol === "json" ? "{}" : "", {
        headers: { "content-type": `application/${protocol}` },
      });
    },
  );
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-prompt", "--allow-net=127.0.0.1"],
      ...[import.meta.resolve("./testing/traced.ts"), guard, String(collector.addr.port)],
    ],
    env: {
      ...telemetryEnvironment({ endpoint: `http://127.0.0.1:${collector.addr.port}` }),
      OTEL_EXPORTER_OTLP_PROTOCOL: protocol === "json" ? "http/json" : "http/protobuf",
    },
  }).output();
  await collector.shutdown();
  assert.ok(success, new TextDecoder().decode(stderr));
  return bodies;
}

interface Sent {
  readonly resourceSpans: {
    readonly scopeSpans: {
      readonly spans: {
        readonly name: string;
        readonly traceId: string;
        readonly spanId: string;
        readonly parentSpanId: string;
        readonly attributes: { readonly key: string; readonly value: { stringValue?: string } }[];
        readonly status?: { readonly code?: number };
      }[];
    }[];
  }[];
}

Deno.test("spans reach a collector, requests below what made them, and hold no address and no words", async () => {
  const bodies = await collect("guarded", "json");
  assert.ok(!bodies.join().includes("s3cret"));
  const spans = bodies.flatMap((body) => (JSON.parse(body) as Sent).resourceSpans)
    .flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans));
  const named = (name: string) => spans.find((span) => span.name === name)!;
  const reconcile = named("bureau.reconcile");
  const about = Object.fromEntries(
    reconcile.attributes.map(({ key, value }) => [key, value.stringValue]),
  );
  assert.deepEqual(about, { "bureau.principal": "agent/a" });
  const below = spans.filter(({ parentSpanId }) => parentSpanId === reconcile.spanId);
  assert.deepEqual(below.map(({ name }) => name), ["GET"]);
  // Whoever was asked was told of no trace, and whoever asks here has no say in one.
  assert.ok(!spans.some(({ parentSpanId }) => parentSpanId === below[0]!.spanId));
  assert.equal(named("bureau.failing").status?.code, 2);
  const keys = new Set(spans.flatMap(({ attributes }) => attributes.map(({ key }) => key)));
  assert.deepEqual([...keys].sort(), [
    "bureau.principal",
    "error.type",
    "http.request.method",
    "http.response.status_code",
  ]);
});

Deno.test("the same as protobuf; without the guard Deno tells it all", async () => {
  const guarded = (await collect("guarded", "x-protobuf")).join();
  assert.ok(guarded.includes("bureau.reconcile") && !guarded.includes("s3cret"));
  // Control: a secret in an address is what Deno would send.
  const open = (await collect("open", "x-protobuf")).join();
  for (const part of ["s3cret-password", "s3cret-path", "s3cret-query"]) {
    assert.ok(open.includes(part), part);
  }
});
