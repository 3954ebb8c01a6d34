// SPDX-License-Identifier: Apache-2.0

/** Planning: template to checked plan to the words of both bwraps, without the machine's own part. */
import { instantiate } from "../../src/lib/template/mod.ts";
import { agentArguments, planSandbox, tmuxCellArguments } from "../../src/sandbox/mod.ts";
import { percentile, report } from "./report.ts";

const MOUNTS = 200;
const WRITABLE = 10;
const ROUNDS = 300;

const dirs = Object.fromEntries(
  ["agent", "admin", "egress", "tmux", "observe", "cell"].map((
    name,
  ) => [name, `/run/b/p/h/${name}`]),
) as unknown as Parameters<typeof tmuxCellArguments>[1];
const present = { isDirectory: true, isFile: false, isSymlink: false, dev: 1, ino: 2 };
/** Each writable one is a repository: `.git` with hooks, and nothing else that is protected. */
const lstat = (path: string) =>
  Promise.resolve(
    /\/(\.git|\.git\/hooks)$/.test(path) || !/\/(\.|mise)/.test(path) ? present : null,
  );

const spec = instantiate({
  command: ["/bin/true"],
  filesystem: Array.from({ length: MOUNTS }, (_, n) => ({
    source: `/data/tree/part-${n}`,
    dest: `/opt/${n % 7}/part-${n}`,
    mode: n < WRITABLE ? "rw" as const : "ro" as const,
  })),
}, {});

const sample: number[] = [];
let words = 0;
for (let round = 0; round < ROUNDS; round++) {
  const before = performance.now();
  const plan = await planSandbox(spec, [{ path: "/data", mode: "rw" }], lstat);
  words = tmuxCellArguments(plan, dirs).length + agentArguments(plan).length;
  sample.push(performance.now() - before);
}
report({
  id: "sandbox.plan",
  value: percentile(sample.slice(ROUNDS / 3), 0.5),
  unit: "ms",
  note: `p99 ${percentile(sample.slice(ROUNDS / 3), 0.99).toFixed(2)} ms, ${words} words`,
});
report({ id: "sandbox.plan.first", value: sample[0]!, unit: "ms" });
