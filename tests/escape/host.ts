// SPDX-License-Identifier: Apache-2.0

/**
 * Runs groups of probes, each group in one sandbox, as whoever it was started as. Bundled and started by
 * `runGroups` (`groups.ts`): a process of its own, because a test that is root asks as another user too.
 */
import { principalHash } from "../../src/lib/ref/mod.ts";
import { instantiate } from "../../src/lib/template/mod.ts";
import { startTmuxCell, tmuxClient } from "../../src/launcher/cells.ts";
import {
  directoriesOf,
  makeDirectories,
  removeDirectories,
  writeCellFiles,
} from "../../src/launcher/directories.ts";
import {
  agentArguments,
  encodeArguments,
  planSandbox,
  type PrincipalDirectories,
  quoteWord,
  type SandboxPlan,
  SECCOMP_FILE,
  tmuxCellArguments,
} from "../../src/sandbox/mod.ts";
import { type Probe, probes, probeScript } from "../../src/sandbox/probes/mod.ts";
import type { Group, GroupOutput } from "./groups.ts";
import { Scene } from "./scene.ts";
import { weaken } from "./weaken.ts";

const DEADLINE_MS = 90_000;
const PIDS = 256;

async function lstat(path: string) {
  return await Deno.lstat(path).catch(() => null);
}

async function planFor(workspace: string, runtime?: string): Promise<SandboxPlan> {
  const spec = instantiate({
    command: ["/bin/sh", "-c", "sh /workspace/bureau/probes.sh >/workspace/bureau/out 2>&1"],
    environment_variables: { PATH: "/usr/bin:/bin", HOME: "/workspace" },
    filesystem: [
      { source: workspace, dest: "/workspace", mode: "rw" },
      { dest: "/tmp", type: "tmpfs" },
    ],
    bridge: runtime !== undefined,
  }, {});
  const facts = runtime === undefined ? {} : { runtime };
  return await planSandbox(spec, [{ path: workspace, mode: "rw" }], lstat, facts);
}

/** The agent's sandbox alone, its sources as they are on the host: what a root caller would start. */
function flatten(
  args: readonly string[],
  plan: SandboxPlan,
  dirs: PrincipalDirectories,
): string[] {
  return args.map((word, index) => {
    if (!/^--(ro-)?bind(-try)?$/.test(args[index - 1] ?? "")) return word;
    if (word.startsWith("/cell/")) return dirs.cell + word.slice("/cell".length);
    if (word.startsWith("/source/etc/")) return word.slice("/source".length);
    if (word === "/run/bureau/agent") return dirs.agent;
    const [, number] = /^\/source\/(\d+)$/.exec(word) ?? [];
    if (number === undefined) return word;
    const mount = plan.mounts[Number(number)]!;
    return mount.kind === "bind" ? mount.source : word;
  });
}

async function inCell(scene: Scene, group: Group, chosen: readonly Probe[]): Promise<string> {
  const name = `bureau/fleet/dev/agent/${group.name}`;
  const hash = await principalHash(name);
  const runDir = scene.dir;
  const workspace = await scene.workspace(group.name);
  const plan = await planFor(workspace, group.runtime);
  await makeDirectories(runDir, hash, name);
  const dirs = directoriesOf(runDir, hash);
  await writeCellFiles(runDir, hash, { plan, spec: { payload: {} }, pidsLimit: PIDS });
  await Deno.writeTextFile(`${workspace}/bureau/probes.sh`, probeScript(chosen));
  const exposed: Record<string, string> = {};
  for (const { path, kind } of chosen.flatMap(({ control }) => control.expose ?? [])) {
    if (group.kind === "control") exposed[path] ??= await scene.exposed(path, kind);
  }
  const made = {
    cell: tmuxCellArguments(plan, dirs),
    agent: agentArguments(plan),
    start: await Deno.readTextFile(`${dirs.cell}/start.sh`),
  };
  const { cell, agent, start } = group.kind === "control"
    ? weaken(made, group.without === "all" ? [] : group.without, exposed, scene.props)
    : made;
  await Deno.writeFile(`${dirs.cell}/nested.args`, encodeArguments(agent));
  await Deno.writeTextFile(`${dirs.cell}/start.sh`, start);
  try {
    if (group.flat) {
      await runFlat(flatten(agent, plan, dirs), plan, dirs.cell);
      return await Deno.readTextFile(`${workspace}/bureau/out`);
    }
    const tmux = tmuxClient(dirs.tmux);
    const unfiltered = group.without.includes("seccomp");
    const { failed } = startTmuxCell(
      unfiltered ? { ...plan, seccomp: null } : plan,
      dirs,
      cell,
    );
    let why: string | null = null;
    failed.then((said) => why = said);
    await until(`the end of ${group.name}`, async () => {
      if (why !== null) {
        throw new Error(`${why}: ${await Deno.readTextFile(`${dirs.cell}/tmux.log`)}`);
      }
      return (await lstat(`${dirs.tmux}/exit`)) !== null;
    });
    const text = await Deno.readTextFile(`${workspace}/bureau/out`).catch(() => "");
    const screen = text === "" ? (await tmux.capture(40)).join("\n") : "";
    await tmux.kill();
    return text + screen;
  } finally {
    await removeDirectories(runDir, hash);
  }
}

async function runFlat(
  args: readonly string[],
  plan: SandboxPlan,
  cell: string,
): Promise<void> {
  const words = plan.command.map(quoteWord).join(" ");
  const file = await Deno.makeTempFile();
  await Deno.writeFile(file, encodeArguments(args));
  const command = [
    `/usr/bin/prlimit --core=0 --nofile=4096:4096 --nproc=${PIDS} --`,
    `/usr/bin/bwrap --args 3 -- /usr/bin/script -qec ${
      quoteWord(words)
    } /dev/null 3<${file} 4<${cell}/${SECCOMP_FILE}`,
  ];
  await new Deno.Command("/bin/sh", { args: ["-c", command.join(" ")], stdin: "null" }).output();
  await Deno.remove(file);
}

/** On the host itself, on a terminal of its own. */
async function outside(scene: Scene, group: Group, chosen: readonly Probe[]): Promise<string> {
  const dir = `${scene.dir}/${group.name}`;
  await Deno.mkdir(dir);
  await Deno.writeTextFile(`${dir}/probes.sh`, probeScript(chosen));
  await new Deno.Command("/usr/bin/script", {
    args: ["-qec", `sh ${dir}/probes.sh >${dir}/out 2>&1`, "/dev/null"],
    stdin: "null",
    stdout: "null",
    clearEnv: true,
    env: { PATH: "/usr/bin:/bin", HOME: dir },
  }).output();
  return await Deno.readTextFile(`${dir}/out`);
}

async function until(what: string, look: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!await look()) {
    if (performance.now() > deadline) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const { dir, groups } = JSON.parse(await new Response(Deno.stdin.readable).text()) as {
  dir: string;
  groups: Group[];
};
await using scene = await Scene.make(dir);
const byId = new Map(probes.map((probe) => [probe.id, probe]));
for (const group of groups) {
  const chosen = group.ids.map((id) => byId.get(id)!);
  const output: GroupOutput = await (group.without === "all" ? outside : inCell)(
    scene,
    group,
    chosen,
  ).then(
    (text) => ({ name: group.name, text }),
    (thrown) => ({ name: group.name, text: "", error: String(thrown) }),
  );
  console.log(JSON.stringify(output));
}
