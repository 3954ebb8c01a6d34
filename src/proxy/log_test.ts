// SPDX-License-Identifier: Apache-2.0

/** What a request leaves behind: a line, a count, a span, and nothing that is secret. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { ProxyError } from "./errors.ts";
import { RequestLog } from "./log.ts";
import { LogLines } from "./log_lines.ts";
import { MetricText } from "../lib/metrics/mod.ts";
import { RequestMetrics } from "./metrics.ts";
import { pathTemplate } from "./path_template.ts";
import { startSpan, withSpan } from "./trace.ts";

Deno.test("pathTemplate() keeps the words of an interface and nothing else", () => {
  const cases = {
    "": "/",
    "/": "/",
    "/v1/chat/completions": "/v1/chat/completions",
    "/v1/messages?key=s3cret": "/v1/messages",
    "/repos/octo-org/17/pulls/4/files": "/repos/octo-org/*/pulls/…",
    "/bot123456:AAEhBP0av28/sendMessage": "/*/sendMessage",
    "/users/%61dmin/x;token=1": "/users/*/x",
    "/a/bureau-placeholder-key-0123456789abcdef": "/a/*",
    "/x/550e8400-e29b-41d4-a716-446655440000": "/x/*",
    "/files/me@example.com#frag": "/files/*",
    "//double": "//double",
  };
  for (const [path, template] of Object.entries(cases)) {
    assert.equal(pathTemplate(path), template, path);
  }
});

Deno.test("pathTemplate() is short, and no query, whatever the path", () => {
  fc.assert(fc.property(fc.string({ maxLength: 300 }), (path) => {
    const template = pathTemplate(`/${path}`);
    assert.ok(template.length <= 110 && /^\/[\w.*/…-]*$/.test(template), template);
  }));
});

function collected() {
  const written: string[] = [];
  const lines = new LogLines((bytes) => {
    written.push(new TextDecoder().decode(bytes));
    return Promise.resolve(bytes.length);
  });
  return { lines, all: () => written.join("").trimEnd().split("\n") };
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

Deno.test("RequestLog writes one line a request, with its end, and counts it", async () => {
  const { lines, all } = collected();
  let now = 5;
  const log = new RequestLog({ principal: 'agent/"a', lines, tick: () => now });
  const request = log.begin({
    via: "http",
    service: "github",
    method: "GET",
    path: "/user?token=s3cret",
    action: "http/github",
  });
  request.bytes.down += 12;
  now += 3.14;
  request.answered(200);
  request.end();
  request.end();
  const refused = log.begin({ via: "connect", service: "evil.test:443", method: "CONNECT" });
  refused.failed(new ProxyError("forbidden", "s3cret words", { status: 403 }));
  refused.failed(new Error("a later one"));
  refused.end();
  await turn();
  const [first, second, ...more] = all().map((line) => JSON.parse(line));
  assert.deepEqual(more, []);
  assert.ok(!all().join().includes("s3cret"));
  assert.match(first.time, /^\d{4}-/);
  assert.deepEqual(
    [first.principal, first.path, first.action, first.status, first.up, first.down, first.ms],
    ['agent/"a', "/user", "http/github", 200, 0, 12, 3.1],
  );
  assert.match(`${first.trace}-${first.span}`, /^[0-9a-f]{32}-[0-9a-f]{16}$/);
  assert.deepEqual([second.status, second.cause, second.path], [403, "forbidden", undefined]);
  const text = new MetricText().add(log.metrics.measured).text();
  for (
    const line of [
      'bureau_proxy_requests_total{via="http",service="github",status="2xx"} 1',
      'bureau_proxy_requests_total{via="connect",service="evil.test:443",status="4xx"} 1',
      'bureau_proxy_received_bytes_total{via="http",service="github",status="2xx"} 12',
      'bureau_proxy_request_seconds_bucket{le="+Inf"} 2',
      "# TYPE bureau_proxy_request_seconds histogram",
    ]
  ) assert.ok(text.includes(`${line}\n`), line);
});

Deno.test("LogLines waits for nobody: a reader that stalls costs lines, which are counted", async () => {
  const stalled = Promise.withResolvers<void>();
  const writes: number[] = [];
  const lines = new LogLines(async (bytes) => {
    writes.push(bytes.length);
    await stalled.promise;
    return bytes.length;
  });
  for (let i = 0; i < 3000; i++) lines.push(`{"n":${i}}`);
  assert.equal(lines.dropped, 3000 - 2048);
  lines.push("x".repeat(4096));
  assert.equal(lines.dropped, 3001 - 2048);
  stalled.resolve();
  while (writes.reduce((sum, length) => sum + length, 0) < 2048 * 8) await turn();
  // Whole lines in pieces that a pipe takes at once.
  assert.ok(writes.every((length) => length <= 4096));
});

Deno.test("LogLines writes a burst and then so many a second; the rest is counted", async () => {
  let now = 0;
  let written = 0;
  const lines = new LogLines(
    (bytes) => {
      written += new TextDecoder().decode(bytes).split("\n").length - 1;
      return Promise.resolve(bytes.length);
    },
    100,
    () => now,
  );
  const flood = async (count: number) => {
    for (let n = 0; n < count; n++) {
      lines.push(`{"n":${n}}`);
      if (n % 500 === 499) await new Promise((resolve) => setTimeout(resolve));
    }
    await new Promise((resolve) => setTimeout(resolve));
  };
  await flood(5_000);
  assert.equal(written, 3_000);
  assert.equal(lines.dropped, 2_000);
  now += 3_000;
  await flood(1_000);
  assert.equal(written, 3_300);
});

Deno.test("LogLines lives on when nobody reads any more", async () => {
  const lines = new LogLines(() => Promise.reject(new Deno.errors.BrokenPipe()));
  lines.push("a");
  lines.push("b");
  await turn();
  assert.equal(lines.dropped, 2);
  lines.push("c");
  await turn();
  assert.equal(lines.dropped, 3);
});

Deno.test("RequestMetrics keeps a bounded number of series", () => {
  const metrics = new RequestMetrics();
  for (let i = 0; i < 1000; i++) {
    metrics.count({ via: "connect", service: `h${i}`, status: 403, ms: 1, up: 1, down: 0 });
  }
  const text = new MetricText().add(metrics.measured).text();
  assert.ok(text.split("\n").length < 450);
  assert.match(text, /requests_total\{via="connect",service="other",status="4xx"\} 872\n/);
});

Deno.test("startSpan() goes on with a caller's trace, and tells upstreams none of ours", () => {
  const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  const given = `00-${trace}-00f067aa0ba902b7-01`;
  const span = startSpan(given);
  assert.deepEqual([span.trace, span.parent], [trace, "00f067aa0ba902b7"]);
  const sent = withSpan(`a: b\r\ntraceparent: ${given}\r\n`, span);
  assert.equal(sent, `a: b\r\ntraceparent: 00-${trace}-${span.id}-01\r\n`);
  for (const bad of [null, "", "00-0-0-00", `00-${"0".repeat(32)}-00f067aa0ba902b7-01`]) {
    const fresh = startSpan(bad);
    assert.equal(fresh.parent, null);
    assert.equal(withSpan("a: b\r\n", fresh), "a: b\r\n");
    assert.notEqual(fresh.trace, startSpan(bad).trace);
  }
});
