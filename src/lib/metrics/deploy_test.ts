// SPDX-License-Identifier: Apache-2.0

/** What is shipped for Prometheus and Grafana speaks of metrics that there are. */
import assert from "node:assert/strict";
import { parse } from "yaml";
import { lacks } from "../testing/skip.ts";
import { entryOf, Histogram, METRICS, MetricText } from "./mod.ts";

const DIR = new URL("../../../deploy/metrics/", import.meta.url).pathname;

/** Names in an expression, as families. */
function* familiesOf(text: string): Generator<string> {
  for (const [name] of text.matchAll(/\bbureau_[a-z_]+/g)) {
    yield entryOf(name) === undefined ? name.replace(/_(bucket|sum|count)$/, "") : name;
  }
}

Deno.test("alert rules and dashboard name metrics and labels that are told", async () => {
  const rules = await Deno.readTextFile(`${DIR}rules.yml`);
  const dashboard = JSON.parse(await Deno.readTextFile(`${DIR}dashboard.json`)) as {
    panels: { targets: { expr: string }[] }[];
  };
  const expressions = [
    ...parse(rules).groups.flatMap((group: { rules: { expr: string }[] }) =>
      group.rules.map(({ expr }) => expr)
    ),
    ...dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
  ] as string[];
  assert.ok(expressions.length > 20);
  const known = new Set(["process", "principal", "instance", "job", "le"]);
  for (const { labels } of Object.values(METRICS)) for (const label of labels) known.add(label);
  for (const expression of expressions) {
    for (const name of familiesOf(expression)) assert.ok(entryOf(name), `${name} in ${expression}`);
    for (const [, labels] of expression.matchAll(/\bby \(([^)]+)\)/g)) {
      for (const label of labels!.split(/, */)) assert.ok(known.has(label), expression);
    }
  }
});

Deno.test("promtool takes the rules, the configuration and what a process tells", async (t) => {
  if (await lacks(t, "/usr/bin/promtool", "prometheus")) return;
  const promtool = async (input: string | null, ...args: string[]) => {
    const child = new Deno.Command("/usr/bin/promtool", {
      ...{ args, cwd: DIR, stdin: "piped", stdout: "piped", stderr: "piped" },
    }).spawn();
    const writer = child.stdin.getWriter();
    if (input !== null) await writer.write(new TextEncoder().encode(input));
    await writer.close();
    const { success, stdout, stderr } = await child.output();
    const decoder = new TextDecoder();
    assert.ok(success, decoder.decode(stdout) + decoder.decode(stderr));
    return decoder.decode(stdout) + decoder.decode(stderr);
  };
  await promtool(null, "check", "rules", "rules.yml");
  await promtool(null, "check", "config", "--syntax-only", "prometheus.yml");
  const all = new MetricText();
  for (const [name, { type, labels }] of Object.entries(METRICS)) {
    const value = type === "histogram"
      ? new Histogram().distribution
      : labels.length === 0
      ? 1
      : [[Object.fromEntries(labels.map((label) => [label, "x"])), 1] as const];
    all.add({ [name]: value }, { process: "p" });
  }
  // It also says what is unusual in a name; nothing is.
  assert.equal(await promtool(all.text(), "check", "metrics"), "");
});
