// SPDX-License-Identifier: Apache-2.0

/**
 * Start of a sandbox as the launcher makes it (cell, filters, nested sandbox, terminal) to its first
 * instruction, against bare bwrap with the same mounts; both in one process, in turn.
 */
import cp from "node:child_process";
import { startTmuxCell, tmuxClient } from "../../src/launcher/cells.ts";
import {
  directoriesOf,
  makeDirectories,
  removeDirectories,
  writeCellFiles,
} from "../../src/launcher/directories.ts";
import { principalHash } from "../../src/lib/ref/mod.ts";
import { instantiate } from "../../src/lib/template/mod.ts";
import { planSandbox } from "../../src/sandbox/mod.ts";
import { commandLine, waitForFile } from "./assignments.ts";
import { percentile, report, skip } from "./report.ts";

const ROUNDS = 30;
const NAME = "bureau/fleet/dev/agent/bench";
/** Who is not root: a cell is never host uid 0. */
const ORDINARY = 12_345;
const PROGRAM = [
  "/bin/sh",
  "-c",
  "date +%s%N >/workspace/at.new; mv /workspace/at.new /workspace/at",
];

await (Deno.uid() === 0 ? asOrdinary() : measure());

/** Root measures as another user: bundled, for that one has no cache of packages. */
async function asOrdinary(): Promise<void> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-bench-" });
  await Deno.chmod(dir, 0o755);
  const bundle = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", "--output", `${dir}/bench.js`, import.meta.filename!],
    stdout: "null",
  }).output();
  if (bundle.success) {
    await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--allow-all", "--no-config", "--cached-only", `${dir}/bench.js`],
      uid: ORDINARY,
      gid: ORDINARY,
      cwd: "/",
      env: { HOME: "/nonexistent", DENO_DIR: "/nonexistent" },
    }).spawn().status;
  } else skip("sandbox.start", "it could not be bundled for an ordinary user");
  await Deno.remove(dir, { recursive: true });
}

async function measure(): Promise<void> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-bench-" });
  const workspace = `${dir}/workspace`;
  await Deno.mkdir(workspace);
  const ours: number[] = [];
  /** Of those, from the first line of the pane's script on: without the terminal's cell and server. */
  const inPane: number[] = [];
  const bare: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    bare.push(await bareStart(workspace));
    const { whole, pane } = await launcherStart(dir, workspace);
    ours.push(whole);
    inPane.push(pane);
  }
  await Deno.remove(dir, { recursive: true });
  report({
    id: "sandbox.start",
    value: percentile(inPane, 0.5) - percentile(bare, 0.5),
    unit: "ms",
    note: `p50 ${percentile(inPane, 0.5).toFixed(1)} ms, bare bwrap ${
      percentile(bare, 0.5).toFixed(1)
    } ms, best ${Math.min(...inPane).toFixed(1)} and ${Math.min(...bare).toFixed(1)}`,
  });
  const added = percentile(ours, 0.5) - percentile(bare, 0.5);
  report({
    id: "sandbox.start.whole",
    value: added,
    unit: "ms",
    note: `p50 ${percentile(ours, 0.5).toFixed(1)} ms, bare bwrap ${
      percentile(bare, 0.5).toFixed(1)
    } ms, best ${Math.min(...ours).toFixed(1)} and ${
      Math.min(...bare).toFixed(1)
    }, ${ROUNDS} starts each`,
  });
}

function now(): number {
  return performance.timeOrigin + performance.now();
}

async function firstInstruction(workspace: string): Promise<number> {
  const at = Number(await waitForFile(`${workspace}/at`)) / 1e6;
  await Deno.remove(`${workspace}/at`);
  return at;
}

async function bareStart(workspace: string): Promise<number> {
  const before = now();
  const child = cp.spawn("/usr/bin/bwrap", commandLine(workspace, PROGRAM), {
    env: { PATH: "/usr/bin:/bin" },
    stdio: "ignore",
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const at = await firstInstruction(workspace);
  await ended;
  return at - before;
}

/** From the plan to the first instruction: what a launcher does once it has checked a request. */
async function launcherStart(
  runDir: string,
  workspace: string,
): Promise<{ whole: number; pane: number }> {
  const hash = await principalHash(NAME);
  const spec = instantiate({
    command: PROGRAM,
    environment_variables: { PATH: "/usr/bin:/bin" },
    filesystem: [
      { source: workspace, dest: "/workspace", mode: "rw" },
      { dest: "/tmp", type: "tmpfs" },
    ],
  }, {});
  const before = now();
  const plan = await planSandbox(
    spec,
    [{ path: workspace, mode: "rw" }],
    (path) => Deno.lstat(path).catch(() => null),
  );
  await makeDirectories(runDir, hash, NAME);
  const dirs = directoriesOf(runDir, hash);
  await writeCellFiles(runDir, hash, { plan, spec: { payload: {} }, pidsLimit: 256 });
  const script = await Deno.readTextFile(`${dirs.cell}/start.sh`);
  const stamped = script.replace("\n", "\ndate +%s%N >/run/bureau/tmux/began\n");
  await Deno.writeTextFile(`${dirs.cell}/start.sh`, stamped);
  const { gone } = startTmuxCell(plan, dirs);
  const at = await firstInstruction(workspace);
  const began = Number(await Deno.readTextFile(`${dirs.tmux}/began`)) / 1e6;
  await tmuxClient(dirs.tmux).kill();
  await gone;
  await removeDirectories(runDir, hash);
  return { whole: at - before, pane: at - began };
}
