// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { loadMetrics } from "./load.ts";
import {
  Histogram,
  LabelledCounter,
  METRICS,
  metricsResponse,
  MetricText,
  ownMetrics,
  readMetrics,
} from "./mod.ts";

const REASON = "bureau_proxy_denials_total";

Deno.test("metrics are Prometheus' text, and OpenMetrics for who asks for it", async () => {
  const durations = new Histogram([0.1, 1]);
  for (const seconds of [0.05, 0.5, 5]) durations.observe(seconds);
  const text = new MetricText().add({
    bureau_launcher_start_seconds: durations.distribution,
    [REASON]: [[{ reason: 'a"b\\c\nd' }, 2]],
  }, { process: "launcher" });
  const ask = async (accept: string) => {
    const response = metricsResponse(new Request("http://x/", { headers: { accept } }), text);
    return [response.headers.get("content-type"), await response.text()] as const;
  };
  const { help } = METRICS.bureau_launcher_start_seconds;
  const histogram = `# HELP bureau_launcher_start_seconds ${help}\n` +
    "# TYPE bureau_launcher_start_seconds histogram\n" +
    'bureau_launcher_start_seconds_bucket{process="launcher",le="0.1"} 1\n' +
    'bureau_launcher_start_seconds_bucket{process="launcher",le="1"} 2\n' +
    'bureau_launcher_start_seconds_bucket{process="launcher",le="+Inf"} 3\n' +
    'bureau_launcher_start_seconds_sum{process="launcher"} 5.55\n' +
    'bureau_launcher_start_seconds_count{process="launcher"} 3\n';
  const sample = `${REASON}{process="launcher",reason="a\\"b\\\\c\\nd"} 2\n`;
  const [type, plain] = await ask("*/*");
  assert.equal(type, "text/plain; version=0.0.4; charset=utf-8");
  assert.equal(
    plain,
    `${histogram}# HELP ${REASON} The same by reason.\n# TYPE ${REASON} counter\n${sample}`,
  );
  const [openType, open] = await ask("application/openmetrics-text;version=1.0.0,text/plain");
  assert.equal(openType, "application/openmetrics-text; version=1.0.0; charset=utf-8");
  const family = REASON.replace("_total", "");
  assert.equal(
    open,
    `${histogram}# HELP ${family} The same by reason.\n# TYPE ${family} counter\n${sample}# EOF\n`,
  );
  // What one process tells, the daemon reads as it was meant.
  const told = new MetricText().add({ [REASON]: [[{ reason: 'a"b\\c\nd' }, 2]] }).text();
  const [read] = readMetrics(told, [REASON], 100);
  assert.deepEqual([read!.labels, read!.value], [{ reason: 'a"b\\c\nd' }, 2]);
});

Deno.test("a process says of itself what the catalogue has, and can't break or forge the rest", () => {
  const good = [
    'bureau_proxy_requests_total{via="http",service="a\\"b",status="2xx"} 3',
    'bureau_proxy_request_seconds_bucket{le="+Inf"} 3',
    "bureau_process_resident_memory_bytes 1e6",
  ];
  const bad = [
    // Another's name, an unknown one, one that is no histogram, and one that is.
    "bureau_launcher_proxy_restarts_total 99",
    "bureau_proxy_made_up_total 99",
    "bureau_proxy_draining_bucket 99",
    "bureau_proxy_request_seconds 99",
    // Labels that are missing, too many, another's, twice.
    "bureau_proxy_requests_total 99",
    'bureau_proxy_draining{principal="agent/other"} 99',
    'bureau_proxy_requests_total{via="a",service="b",principal="agent/other"} 99',
    'bureau_proxy_requests_total{via="a",via="b",service="c",status="d"} 99',
    'bureau_proxy_request_seconds_bucket{le="x"} 99',
    'bureau_proxy_denials_total{reason="\\x"} 99',
    `bureau_proxy_denials_total{reason="${"x".repeat(301)}"} 99`,
    // No numbers.
    "bureau_proxy_draining 9.9.9",
    "bureau_proxy_draining NaN",
    "bureau_proxy_draining 99 # {",
    "up 99",
  ];
  const read = readMetrics([...bad, ...good].join("\n"), ["bureau_proxy_", "bureau_process_"], 100);
  const told = new MetricText();
  for (const sample of read) told.addRead(sample, { principal: "agent/a" });
  assert.deepEqual(told.json(), [
    {
      name:
        'bureau_proxy_requests_total{principal="agent/a",via="http",service="a\\"b",status="2xx"}',
      value: 3,
    },
    { name: 'bureau_proxy_request_seconds_bucket{principal="agent/a",le="+Inf"}', value: 3 },
    { name: 'bureau_process_resident_memory_bytes{principal="agent/a"}', value: 1e6 },
  ]);
  assert.equal(readMetrics(good.join("\n"), ["bureau_proxy_"], 1).length, 1);
});

Deno.test("a counter keeps a bounded number of series, and loses no count", () => {
  const counter = new LabelledCounter();
  for (let i = 0; i < 1_000; i++) counter.add({ reason: `r${i}` });
  const { samples } = counter;
  assert.equal(samples.length, 129);
  assert.deepEqual(samples.at(-1), [{ reason: "other" }, 872]);
});

Deno.test("every process tells memory, processor and delay, without any permission", {
  permissions: "none",
}, async () => {
  const text = await ownMetrics(new Request("http://x/"), await loadMetrics()).text();
  for (const name of ["resident_memory_bytes", "cpu_seconds_total", "event_loop_delay_seconds"]) {
    assert.match(text, new RegExp(`^bureau_process_${name} \\d`, "m"));
  }
});

Deno.test("every name of the catalogue says what it counts in", () => {
  for (const [name, { type, labels }] of Object.entries(METRICS)) {
    assert.match(name, /^bureau_[a-z_]+$/);
    assert.equal(name.endsWith("_total"), type === "counter", name);
    if (type === "histogram") assert.match(name, /_(seconds|bytes)$/);
    assert.doesNotMatch(name, /_(bucket|sum|count)$/);
    for (const label of labels) assert.ok(!["process", "principal", "le"].includes(label), name);
  }
});
