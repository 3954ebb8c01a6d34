// SPDX-License-Identifier: Apache-2.0

/**
 * What a machine with many assignments costs its daemon: the real process against a real homeserver, with a launcher
 * that only keeps books. Its CPU time is the kernel's, over all of its threads.
 */
import { Bench, until } from "../../src/daemon/bench_test.ts";
import type { Template } from "../../src/lib/schema/mod.ts";
import { percentile, report } from "./report.ts";

const ASSIGNMENTS = 1_000;
const RUNNING = 100;
const EDITS = 30;

const template: Template = {
  description: "t",
  command: ["/bin/true"],
  egress: { allow: ["api.test:443"] },
  authorization: { grants: [{ actions: ["matrix/read"] }] },
};
const nameOf = (n: number) => `agent/a${n}`;

/** Milliseconds of CPU that a process has used, its threads that ended excepted. */
async function cpuMs(pid: number): Promise<number> {
  let total = 0;
  for await (const { name } of Deno.readDir(`/proc/${pid}/task`)) {
    const text = await Deno.readTextFile(`/proc/${pid}/task/${name}/schedstat`).catch(() => "0");
    total += Number(text.split(" ")[0]) / 1e6;
  }
  return total;
}

/** What it has used once it uses nothing more. */
async function atRest(pid: number): Promise<number> {
  let before = await cpuMs(pid);
  for (let quiet = 0; quiet < 5;) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const now = await cpuMs(pid);
    // What a busy machine's scheduler adds, and the bench's principals without relays and proxies: the daemon
    // looks for each of theirs every few seconds.
    quiet = now - before < 3 ? quiet + 1 : 0;
    before = now;
  }
  return before;
}

await using bench = await Bench.start();
await bench.publish("t", template);
await bench.startDaemon();
// What an empty daemon costs is no matter of assignments.
const empty = await atRest(bench.daemon!.pid);
await bench.stopDaemon();
for (let n = 0; n < ASSIGNMENTS; n++) {
  await bench.assign(nameOf(n), template, { desired: n < RUNNING ? "running" : "stopped" });
}

await bench.startDaemon();
const { pid } = bench.daemon!;
const started = performance.now();
await until(() => bench.launcher.cells.size === RUNNING, "all run", 120_000);
const after = performance.now() - started;
const cold = await atRest(pid);
report({
  id: "reconcile.cold",
  value: (cold - empty) / 1_000,
  unit: "s",
  note: `${ASSIGNMENTS} assignments, ${RUNNING} of them started; all ran after ${
    (after / 1_000).toFixed(1)
  } s; an empty daemon's ${(empty / 1_000).toFixed(2)} s are not in it`,
});

// What it costs to be there is no matter of an edit: it is told by itself, and taken off.
const calm = await cpuMs(pid);
const calmFrom = performance.now();
await new Promise((resolve) => setTimeout(resolve, 10_000));
const idleShare = (await cpuMs(pid) - calm) / (performance.now() - calmFrom);
report({
  id: "reconcile.idle",
  value: idleShare * 100,
  unit: "%",
  note: `of a core, ten seconds with ${ASSIGNMENTS} assignments`,
});

const costs: number[] = [];
for (let n = 0; n < EDITS; n++) {
  const before = await atRest(pid);
  const from = performance.now();
  const pushes = bench.launcher.creates.length;
  await bench.assign(nameOf(n), template, { restart_policy: "on-failure" });
  await until(() => bench.launcher.creates.length > pushes, "asked for");
  const used = await atRest(pid) - before;
  costs.push(used - idleShare * (performance.now() - from));
}
report({
  id: "reconcile.edit",
  value: percentile(costs, 0.5),
  unit: "ms",
  note: `CPU of one principal's edit among them; p90 ${
    percentile(costs, 0.9).toFixed(1)
  } ms, ${EDITS} edits`,
});
