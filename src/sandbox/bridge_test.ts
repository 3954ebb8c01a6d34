// SPDX-License-Identifier: Apache-2.0

/** How a bridge is started, with every shell that is here. */
import assert from "node:assert/strict";
import { skip } from "../lib/testing/skip.ts";
import { startScript } from "./bridge.ts";

const DEADLINE_MS = 45_000;

interface Started {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The script with `bridge`, and an agent that says who its children are. @param mark in every environment */
async function start(
  shell: string,
  mark: string,
  bridge: string,
  seconds: number,
): Promise<Started> {
  const command = new Deno.Command(shell, {
    args: [
      ...["-c", startScript(bridge, seconds), "bridge"],
      ...["/bin/sh", "-c", 'read -r own </proc/$$/task/$$/children; echo "agent:$own"; exit 7'],
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { MARK: mark },
  });
  const child = command.spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), DEADLINE_MS);
  const { code, stdout, stderr } = await child.output();
  clearTimeout(timer);
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/** What is left of what was started. */
async function leftOver(mark: string): Promise<{ pid: number; line: string }[]> {
  const left: { pid: number; line: string }[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const environment = await Deno.readTextFile(`/proc/${name}/environ`);
      if (!environment.includes(mark)) continue;
      const line = (await Deno.readTextFile(`/proc/${name}/cmdline`)).replaceAll("\0", " ").trim();
      if (line !== "") left.push({ pid: Number(name), line });
    } catch {
      // It ended meanwhile, or is somebody else's.
    }
  }
  return left;
}

async function untilLeft(
  mark: string,
  what: string,
  wanted: (lines: string[]) => boolean,
): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (true) {
    const lines = (await leftOver(mark)).map(({ line }) => line);
    if (wanted(lines)) return;
    assert.ok(performance.now() < deadline, `${what}: ${lines.join(", ")}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function endAll(mark: string): Promise<void> {
  for (const { pid } of await leftOver(mark)) {
    try {
      Deno.kill(pid, "SIGKILL");
    } catch (thrown) {
      // One goes when another does.
      if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
    }
  }
}

for (const shell of ["/bin/dash", "/bin/bash"]) {
  const is = await Deno.stat(shell).then(() => true, () => false);
  Deno.test(`${shell}: a bridge that listens goes on as nobody's child, and its watch is gone`, async (t) => {
    if (!is) return await skip(t, `there is no ${shell}`);
    const mark = crypto.randomUUID();
    try {
      const listens = `sh -c "echo '{\\"ready\\":true}'; exec sleep 3599"`;
      const ran = await start(shell, mark, listens, 3600);
      assert.deepEqual(ran, { code: 7, stdout: "agent:\n", stderr: "" });
      await untilLeft(mark, "only the bridge", (lines) => lines.join() === "sleep 3599");
    } finally {
      await endAll(mark);
    }
  });

  Deno.test(`${shell}: a bridge that hangs is ended, and what one says of its fault is shown`, async (t) => {
    if (!is) return await skip(t, `there is no ${shell}`);
    const mark = crypto.randomUUID();
    const refused = async (bridge: string, seconds: number, why: RegExp) => {
      const { code, stdout, stderr } = await start(shell, mark, bridge, seconds);
      assert.deepEqual([code, stdout], [125, ""]);
      assert.match(stderr, why);
      await untilLeft(mark, "nothing", (lines) => lines.length === 0);
    };
    try {
      await refused("sleep 3598", 1, /did not start: it said nothing, for 1 s/);
      // Long before its deadline.
      await refused(`echo '{"error":{"code":"port-taken"}}'`, 3600, /did not start: .*port-taken/);
      await refused("/nowhere/deno", 3600, /did not start: it said nothing/);
    } finally {
      await endAll(mark);
    }
  });
}
