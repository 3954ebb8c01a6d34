// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { defineProbe, type Probe, probeScript, readResults } from "./mod.ts";

const probe = (id: string, language: "sh" | "perl", script: string): Probe =>
  defineProbe({ id, language, script, title: "", defence: "", control: { without: [] } });

async function run(probes: readonly Probe[]): Promise<string> {
  const path = await Deno.makeTempFile({ suffix: ".sh" });
  await Deno.writeTextFile(path, probeScript(probes));
  const { stdout } = await new Deno.Command("/bin/sh", { args: [path], stdin: "null" }).output();
  await Deno.remove(path);
  return new TextDecoder().decode(stdout);
}

Deno.test("probeScript() runs each probe apart and tells of all, whatever one of them does", async () => {
  const probes = [
    probe("says", "sh", 'held "a \\"quoted\\" note; $HOME"'),
    probe("dies", "sh", "kill -9 $$"),
    probe("silent", "perl", "1;"),
    probe("loud", "sh", 'echo noise; echo more >&2; breached "out"'),
    probe("perl", "perl", 'absent("no such thing")'),
    probe("wrong", "perl", "syntax error here ("),
  ];
  const verdicts = readResults(probes, await run(probes)).map(({ verdict }) => verdict);
  assert.deepEqual(
    verdicts,
    ["held", "failed", "failed", "breached", "not-applicable", "failed"],
  );
});

Deno.test("readResults() takes one result a probe, and nothing that it did not ask for", () => {
  const probes = [probe("a", "sh", ""), probe("b", "sh", ""), probe("c", "sh", "")];
  const text = [
    '^@{"id":"a","verdict":"held","note":"first"}\r',
    '{"id":"a","verdict":"breached","note":"second"}',
    '{"id":"b","verdict":"wonderful","note":""}',
    '{"id":"z","verdict":"held","note":""}',
    '{"id":"c","verdict":"held"',
    "null",
  ].join("\n");
  assert.deepEqual(readResults(probes, text), [
    { id: "a", verdict: "held", note: "first" },
    { id: "b", verdict: "failed", note: "it was not run" },
    { id: "c", verdict: "failed", note: "it was not run" },
  ]);
});
