// SPDX-License-Identifier: Apache-2.0

/**
 * Agent start: from writing the signed assignment into Matrix to the agent's first instruction, against
 * bare bwrap with the same mounts and program. Also twenty at once.
 */
import { bureauTemplate, commandLine, signAssignment, waitForFile } from "./assignments.ts";
import { type Bureau, eventually, withBureau } from "../e2e/harness.ts";
import { percentile, report } from "./report.ts";

const ROUNDS = 15;
const CROWD = 20;
/** Writes the time of the first instruction, then stays. */
const PROGRAM = [
  "/bin/sh",
  "-c",
  "date +%s%N > /workspace/started.new; mv /workspace/started.new /workspace/started; exec sleep 1000",
];

await withBureau(async (bureau) => {
  const started = await bureau.up("--detach", "--no-agent");
  if (started.code !== 0) throw new Error(started.stderr);
  await bureauTemplate(bureau, "bench", {
    inherits: ["bureau/template:base"],
    command: PROGRAM,
    filesystem: [{ source: "${WORKSPACE}", dest: "/workspace", mode: "rw" }],
    restart_policy: "never",
  });
  const bare: number[] = [];
  for (let round = 0; round < ROUNDS; round++) bare.push(await bareStart());
  const ours: number[] = [];
  for (let round = 0; round < ROUNDS; round++) ours.push(...await start(bureau, [`solo${round}`]));
  report({
    id: "agent.start",
    value: percentile(ours, 0.5),
    unit: "ms",
    alternative: { name: "bare bwrap", value: percentile(bare, 0.5) },
    note: `p99 ${percentile(ours, 0.99).toFixed(0)} ms, ${ROUNDS} starts`,
  });
  const crowd = await start(
    bureau,
    Array.from({ length: CROWD }, (_, index) => `crowd${index}`),
  );
  report({
    id: "agent.start.crowd",
    value: Math.max(...crowd),
    unit: "ms",
    note: `${CROWD} at once, the last one`,
  });
});

/** @returns milliseconds from the first write to each one's first instruction */
async function start(bureau: Bureau, names: readonly string[]): Promise<number[]> {
  const signed = await Promise.all(
    names.map((name) => signAssignment(bureau, name, "bench", "running")),
  );
  const before = performance.timeOrigin + performance.now();
  await Promise.all(signed.map((assignment) => assignment.put()));
  const times = await Promise.all(
    signed.map(async ({ workspace }) =>
      Number(await waitForFile(`${workspace}/started`)) / 1e6 - before
    ),
  );
  const removals = await Promise.all(
    names.map((name) => signAssignment(bureau, name, "bench", "absent")),
  );
  await Promise.all(removals.map((assignment) => assignment.put()));
  await eventually(
    "they are gone",
    () => Promise.resolve([...Deno.readDirSync(`${bureau.runDir}/p`)].length === 0),
    60_000,
  );
  return times;
}

async function bareStart(): Promise<number> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-bare-" });
  const before = performance.timeOrigin + performance.now();
  const child = new Deno.Command("/usr/bin/bwrap", {
    args: commandLine(dir, PROGRAM),
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const at = Number(await waitForFile(`${dir}/started`)) / 1e6;
  child.kill("SIGKILL");
  await child.status;
  await Deno.remove(dir, { recursive: true });
  return at - before;
}
