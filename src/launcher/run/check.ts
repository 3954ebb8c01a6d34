// SPDX-License-Identifier: Apache-2.0

/** `bureau sandbox check`: the probes in a fresh sandbox, or beside a live agent in one made like its own. */
import { systemClock } from "../../lib/clock.ts";
import { DEFAULT_FILES, encodeArguments, sandboxLine } from "../../sandbox/mod.ts";
import { type Probe, type ProbeResult, probes } from "../../sandbox/probes/mod.ts";
import { probeScript, readResults } from "../../sandbox/probes/mod.ts";
import type { SandboxRequest } from "../api.ts";
import { tmuxClient } from "../cells.ts";
import { directoriesOf } from "../directories.ts";
import { LauncherError } from "../errors.ts";
import { readIfThere, removeIfThere } from "../files.ts";
import { startRunCell } from "./cell.ts";
import { planRun } from "./run.ts";

/** All probes together take a few seconds. */
const DEADLINE_MS = 120_000;
/** What a sandbox may say before we stop listening. */
const MAX_OUTPUT = 1024 * 1024;

/** @returns the results in the order of the probes */
export async function checkFresh(request: SandboxRequest): Promise<ProbeResult[]> {
  const { plan, pids } = await planRun({
    ...request,
    command: ["/bin/sh", "/run/bureau/contract/check.sh"],
  });
  const cell = startRunCell({
    plan,
    pids,
    terminal: true,
    files: [["contract/check.sh", probeScript(probes)]],
  }, ["ignore", "pipe", "inherit"]);
  const timer = setTimeout(() => cell.signal("KILL"), DEADLINE_MS);
  const [text] = await Promise.all([readAll(cell.stdout!), cell.exited])
    .finally(() => clearTimeout(timer));
  return readResults(probes, text);
}

function readAll(stream: NodeJS.ReadableStream): Promise<string> {
  let text = "";
  stream.setEncoding("utf8");
  stream.on("data", (chunk: unknown) => {
    if (text.length < MAX_OUTPUT) text += String(chunk);
  });
  return new Promise((resolve) => stream.once("end", () => resolve(text)));
}

const disturbing = ({ id }: Probe): ProbeResult => ({
  id,
  verdict: "not-applicable",
  note: "it would disturb the agent; a check without a name tries it",
});

/**
 * A second sandbox in the agent's own cell, from the very arguments that made the agent's: the same binds
 * and sockets, but processes, terminal and scratch of its own.
 */
export async function checkBeside(runDir: string, hash: string): Promise<ProbeResult[]> {
  const dirs = directoriesOf(runDir, hash);
  const tmux = tmuxClient(dirs.tmux);
  const made = await readIfThere(`${dirs.cell}/start.sh`);
  const pane = made === null ? null : await tmux.pane();
  if (made === null || pane === null || pane.dead) {
    throw new LauncherError("not-running", "Cannot check it: this agent does not run here", {
      status: 409,
      hint: "`bureau agent list` shows what runs; without a name a fresh sandbox is checked",
    });
  }
  const chosen = probes.filter(({ disturbs }) => disturbs !== true);
  const id = `check-${crypto.randomUUID().slice(0, 8)}`;
  const output = `${dirs.tmux}/${id}`;
  const file = (kind: string) => `${dirs.cell}/${id}.${kind}`;
  try {
    const nested = await Deno.readFile(`${dirs.cell}/nested.args`);
    const data: [string, string | Uint8Array][] = [
      [file("sh"), probeScript(chosen)],
      [file("args"), withScript(nested, id)],
      [file("start"), besideScript(made, id)],
    ];
    for (const [path, content] of data) {
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      await Deno.writeFile(path, bytes, { createNew: true, mode: 0o600 });
    }
    await tmux.shell(`sh /cell/${id}.start >/dev/null 2>&1 &`);
    const found = new Map(
      readResults(chosen, await awaitOutput(output)).map((result) => [result.id, result]),
    );
    return probes.map((probe) => found.get(probe.id) ?? disturbing(probe));
  } finally {
    for (const kind of ["sh", "args", "start"]) await removeIfThere(file(kind));
    for (const path of [output, `${output}.new`]) await removeIfThere(path);
  }
}

/** The agent's start script with other arguments and another program; its output is whole or absent. */
function besideScript(made: string, id: string): string {
  const pids = Number(/--nproc=(\d+)/.exec(made)?.[1] ?? 512);
  const files = Number(/--nofile=(\d+)/.exec(made)?.[1] ?? DEFAULT_FILES);
  const line = sandboxLine(["/bin/sh", `/run/bureau/${id}.sh`], pids, "terminal", files)
    .replaceAll("/cell/nested.args", `/cell/${id}.args`);
  const place = `/run/bureau/tmux/${id}`;
  return `#!/bin/sh\n{\n${line}\n} </dev/null >${place}.new 2>&1\nmv ${place}.new ${place}\n`;
}

/** The agent's arguments, and the probes where they can be read; its root is read-only after that. */
function withScript(nested: Uint8Array, id: string): Uint8Array {
  const args = new TextDecoder().decode(nested).split("\0").slice(0, -1);
  const at = args.findIndex((word, index) => word === "--remount-ro" && args[index + 1] === "/");
  args.splice(at < 0 ? args.length : at, 0, "--ro-bind", `/cell/${id}.sh`, `/run/bureau/${id}.sh`);
  return encodeArguments(args);
}

/** The cell wrote it, which is not trusted: a plain file of no great size, or nothing. */
async function awaitOutput(path: string): Promise<string> {
  const deadline = systemClock.now() + DEADLINE_MS;
  while (systemClock.now() < deadline) {
    const info = await Deno.lstat(path).catch(() => null);
    if (info?.isFile && info.size <= MAX_OUTPUT) return await Deno.readTextFile(path);
    if (info !== null) break;
    await systemClock.sleep(50);
  }
  throw new LauncherError("check-failed", "Cannot check it: the probes gave no answer in time", {
    hint: "try again; `bureau observe` shows whether the agent itself still answers",
  });
}
